// What the text itself can be: syntax, duplicate keys, bounds, and how violations are listed.
#include "config/yaml.hpp"

#include <doctest/doctest.h>

#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

using config::one_line;
using config::parse_yaml;
using config::Tree;
using config::Violations;

TEST_CASE("every value and key of a parsed text knows its position") {
  Violations violations;
  const auto tree = parse_yaml("a: 1\nb:\n  - x\n  - {c: [2]}\n", "f.yaml", violations);
  REQUIRE(tree);
  CHECK(violations.count() == 0);
  CHECK(tree->find_entry("b")->key_position.text() == "f.yaml:2:1");
  const Tree& list = *tree->find("b");
  CHECK(list.items[0].position.text() == "f.yaml:3:5");
  CHECK(list.items[1].find("c")->items[0].position.text() == "f.yaml:4:10");
}

TEST_CASE("a written null differs from a value that was forgotten") {
  Violations violations;
  const auto tree = parse_yaml("a: null\nb: ~\nc:\nnull_b: {d: Null, e, f: NULL}\ng:\nnull: 1\n", "f.yaml", violations);
  REQUIRE(tree);
  const auto blank = [&](const char* key) {
    const Tree* value = tree->find(key) != nullptr ? tree->find(key) : tree->find("null_b")->find(key);
    REQUIRE(value->kind == Tree::Kind::null);
    return value->blank;
  };
  CHECK_FALSE(blank("a"));
  CHECK_FALSE(blank("b"));
  CHECK(blank("c"));
  CHECK_FALSE(blank("d"));
  CHECK(blank("e"));
  CHECK_FALSE(blank("f"));
  CHECK(blank("g"));
  CHECK(tree->find("c")->position.text() == "f.yaml:3:1");
}

TEST_CASE("a byte order mark and windows line ends change no position") {
  CHECK(problem("\xEF\xBB\xBFseeed: 1\r\n" + kOneMember) == "e.yaml:1:1: unknown key 'seeed'; did you mean 'seed'?");
  CHECK(problem("\xEF\xBB\xBFseed: null\r\n" + kOneMember).empty());
}

TEST_CASE("text that is not YAML is refused with its position") {
  // The parser gives the reason, which differs between its versions.
  CHECK(problem("a: [1\nb: 2\n").starts_with("e.yaml:2:2: this is not YAML: "));
  CHECK(problem("a: 1\n b: 2\n").starts_with("e.yaml:2:3: this is not YAML: "));
}

TEST_CASE("a second document is refused") {
  CHECK(problem("seed: 1\n---\nseed: 2\n") ==
        "e.yaml:2:1: a second document starts here, but a file holds only one: remove '---'");
}

// yaml-cpp took the comma for a document that takes nothing from the text, and found it again forever.
TEST_CASE("text that belongs to no document is refused and does not exhaust the memory") {
  const std::string words = "this is not YAML: it does not continue the text before it";
  CHECK(problem(",") == "e.yaml:1:1: " + words);
  CHECK(problem("!,[sing>y]\n") == "e.yaml:1:2: " + words);
  CHECK(problem("- 1\nseed: 2\n") == "e.yaml:2:1: " + words);
}

TEST_CASE("duplicate keys are refused at every level") {
  CHECK(problem("seed: 1\n" + kOneMember + "seed: 2\n") ==
        "e.yaml:3:1: duplicate key 'seed'; it is already given in line 1");
  CHECK(problem("members: [{name: a, name: b, model: {kind: fake}}]") ==
        "e.yaml:1:21: duplicate key 'name'; it is already given in line 1");
}

TEST_CASE("a key that is not a word is refused") {
  CHECK(problem(kOneMember + "? [x]\n: 1\n") == "e.yaml:2:3: a key must be a word, not a list, a map or nothing");
}

TEST_CASE("tags are refused") {
  CHECK(problem(kOneMember + "output: !!binary abc\n") ==
        "e.yaml:2:9: tags such as 'tag:yaml.org,2002:binary' have no meaning here; remove this one");
}

TEST_CASE("an alias that contains itself ends with a message instead of never") {
  CHECK(problem("a: &x [*x]\n") == "e.yaml:1:4: nested more than 64 levels");
}

TEST_CASE("aliases cannot multiply a small text without bound") {
  std::string yaml = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
  for (int i = 1; i < 9; ++i) {
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) yaml += (j == 0 ? "*a" : ",*a") + std::to_string(i - 1);
    yaml += "]\n";
  }
  CHECK(problem(yaml).ends_with(": more than 100000 values"));
}

TEST_CASE("deep nesting is refused and does not exhaust the stack") {
  CHECK(problem("a: " + std::string(200, '[') + std::string(200, ']')).ends_with(": nested more than 64 levels"));
  CHECK(problem("a: " + std::string(100'000, '[')).find("this is not YAML") != std::string::npos);
}

TEST_CASE("emitted YAML is read back as the same tree") {
  Tree tree = Tree::map();
  tree.set("text", Tree::text("null: \"quoted\"\n, [x] # y"));
  tree.set("number", Tree::plain("-0.5"));
  tree.set("nothing", Tree::null());
  Tree list = Tree::list();
  list.items = {Tree::plain("1"), Tree::text("true"), Tree::null()};
  tree.set("list", list);
  Tree inner = Tree::map();
  inner.set("a.b", Tree::text("cpu:0-3,8"));
  Tree nested = Tree::list();
  nested.items = {inner, Tree::map(), Tree::list()};
  tree.set("nested", nested);
  Violations violations;
  const std::string first = config::emit_yaml(tree);
  const auto back = parse_yaml(first, "f.yaml", violations);
  REQUIRE(back);
  CHECK(violations.count() == 0);
  CHECK(config::emit_yaml(*back) == first);
  CHECK(back->find("text")->scalar == tree.find("text")->scalar);
  CHECK(back->find("text")->quoted);
  CHECK_FALSE(back->find("number")->quoted);
  CHECK(back->find("nothing")->kind == Tree::Kind::null);
  CHECK_FALSE(back->find("nothing")->blank);
  CHECK(back->find("list")->items[1].quoted);
  CHECK(back->find("nested")->items[0].find("a.b")->scalar == "cpu:0-3,8");
  CHECK(back->find("nested")->items[1].kind == Tree::Kind::map);
}

TEST_CASE("one violation is the message itself") {
  try {
    config::load_text(kOneMember + "slots: 0", "e.yaml");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "e.yaml:2:8: 'slots' must be a whole number of at least 1, not '0'");
    CHECK(error.detail().empty());
  }
}

TEST_CASE("several violations are counted and listed in the order of the file") {
  try {
    config::load_text("slots: 0\n" + kOneMember + "segmnt_images: 3\nseed: x\n", "e.yaml", {{"threads=-1"}, {}});
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.message() == "cannot use e.yaml: 4 problems");
    CHECK(error.detail() ==
          "e.yaml:1:8: 'slots' must be a whole number of at least 1, not '0'\n"
          "e.yaml:3:1: unknown key 'segmnt_images'; did you mean 'segment_images'?\n"
          "e.yaml:4:7: 'seed' must be a whole number of at least 0, not 'x'\n"
          "command line: 'threads=-1': 'threads' must be a whole number of at least 0, not '-1'");
  }
}

// If each violation looked at all before it, a small text with many aliases would take forever.
TEST_CASE("very many violations are all counted and the first are listed") {
  constexpr int kMany = 200'000;
  Violations violations;
  for (int line = 1; line <= kMany; ++line) violations.add({"e.yaml", line, 1}, "wrong");
  const auto error = error_of([&] { violations.raise("e.yaml"); });
  REQUIRE(error);
  CHECK(error->message() == "cannot use e.yaml: 200000 problems");
  CHECK(error->detail().starts_with("e.yaml:1:1: wrong\ne.yaml:2:1: wrong\n"));
  CHECK(error->detail().ends_with("\ne.yaml:100:1: wrong\nand 199900 more"));
}

TEST_CASE("violations of the command line come last in whatever order they were found") {
  const auto lines = problems("slots: 0\n" + kOneMember, {{"threads"}, {}});
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("e.yaml:1:8: "));
  CHECK(lines[1].starts_with("command line: 'threads': "));
}

TEST_CASE("switches in quotes are switches") {
  const std::string model = "members: [{name: a, model: {kind: torchscript, path: x, optimize: 'off'}}]\n";
  CHECK(problem(model).empty());
  CHECK(config::load_text(kOneMember + "batch_images: 'auto'", "e").measure_batch_images);
  CHECK(problem(kOneMember + "save_members: 'true'") ==
        "e.yaml:2:15: 'save_members' must be true or false, not the text 'true'");
}

TEST_CASE("a merge key brings in the keys of other maps and those that are written come first") {
  const std::string yaml = R"(
x-defaults: &defaults {kind: fake, classes: 4, delay_ms: 5}
x-more: &more {delay_ms: 7, reads_input: false}
members:
  - {name: a, model: *defaults}
  - {name: b, model: {<<: *defaults, delay_ms: 1}}
  - name: c
    model:
      <<: [*more, *defaults]
)";
  const auto spec = config::load_text(yaml, "e.yaml");
  REQUIRE(spec.members.size() == 3);
  const auto fake = [&](std::size_t rank) { return std::get<FakeModel>(spec.members[rank].model.kind); };
  CHECK(fake(0).classes == 4);
  CHECK(fake(1).delay_us == 1000);
  CHECK(fake(2).delay_us == 7000);
  CHECK(fake(2).classes == 4);
  CHECK_FALSE(fake(2).reads_input);
}

TEST_CASE("a merge key takes maps only and mistakes in them are reported where they are written") {
  CHECK(problem(kOneMember + "<<: 5") == "e.yaml:2:1: '<<' takes a map or a list of maps, such as *defaults, not '5'");
  CHECK(problem("x-a: &a {slotss: 3}\n<<: *a\n" + kOneMember) ==
        "e.yaml:1:10: unknown key 'slotss'; did you mean 'slots'?");
}

TEST_CASE("keys that begin with x- are for others at the top level only") {
  CHECK(problem(kOneMember + "x-note: {anything: [1, 2]}\nx-: 3", {{"x-more=1"}, {}}).empty());
  CHECK(problem(kOneMember + "combine: {x-note: 1}") == "e.yaml:2:11: unknown key 'x-note'");
}

TEST_CASE("a tab that indents has a message of its own") {
  CHECK(problem(kOneMember + "combine:\n\trule: mean\n") ==
        "e.yaml:3:1: a tab indents this line, and YAML indents with blanks only: replace it");
  CHECK(problem("members:\n  - name: a\n  \tmodel: {kind: fake}\n")
            .ends_with(": a tab indents this line, and YAML indents with blanks only: replace it"));
  CHECK(problem(kOneMember + "slots:\t3\n").empty());
}

TEST_CASE("a text of any length and content is shown as part of one line") {
  CHECK(one_line("abc") == "abc");
  CHECK(one_line("a\nb\tc\x7F") == "a b c ");
  CHECK(one_line(std::string(80, 'x')) == std::string(80, 'x'));
  CHECK(one_line(std::string(81, 'x')) == std::string(80, 'x') + " [cut]");
  CHECK(one_line(std::string(79, 'x') + "\xC3\xA4y") == std::string(79, 'x') + " [cut]");
}

}  // namespace
}  // namespace tutti::test
