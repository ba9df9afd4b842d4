// `output` of a `model`: one output of a model with several, or a list that is joined into one row.
#include <doctest/doctest.h>

#include <string>

#include "tests/common/error_of.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

/// A member whose model has this `output`, over values.
std::string joined_yaml(const std::string& entries, const std::string& keys = "",
                        const std::string& rest = "combine: {over: values}") {
  return "members: [{name: m, model: {kind: torchscript, path: m.pt, output: " + entries + "}, output: values" + keys +
         "}]\n" + rest + "\n";
}

std::vector<std::string> entries_in(const std::string& entries) {
  const auto spec = config::load_text(joined_yaml(entries), "e.yaml");
  const auto again = config::load_text(spec.effective_yaml, "again");
  CHECK(again.members == spec.members);
  CHECK(again.effective_yaml == spec.effective_yaml);
  return entries_of(spec.members.front().model.kind);
}

TEST_CASE("an output is one name or a list of names and places") {
  using Names = std::vector<std::string>;
  CHECK(entries_in("boxes") == Names{"boxes"});
  CHECK(entries_in("0") == Names{"0"});
  CHECK(entries_in("[boxes]") == Names{"boxes"});
  CHECK(entries_in("[boxes, 1, 'a b']") == Names{"boxes", "1", "a b"});
  CHECK(entries_in("null").empty());
}

TEST_CASE("a wrong list of outputs is refused at its place") {
  const auto wrong = [](const std::string& entries) { return problem(joined_yaml(entries)); };
  CHECK(wrong("[]") == "e.yaml:1:68: 'output' must be a name or a list of 1 to 64 names");
  CHECK(wrong("[a, {b: c}]") == "e.yaml:1:72: each item of 'output' must be a name, not a map");
  CHECK(wrong("[a, b, a]") == "e.yaml:1:75: 'output' names 'a' twice");
  CHECK(contains(wrong("{a: b}"), "'output' must be text, not a map"));
  std::string many = "[";
  for (int i = 0; i < 65; ++i) many += std::to_string(i) + ", ";
  CHECK(wrong(many + "]") == "e.yaml:1:68: 'output' must be a name or a list of 1 to 64 names");
}

TEST_CASE("joined outputs are values or features") {
  const std::string message =
      "e.yaml:1:68: member 'm' joins several outputs into one row of numbers, which cannot be combined over "
      "probabilities; name one output, or set combine: {over: values}";
  const auto found = problems(joined_yaml("[a, b]", "", "combine: {over: probabilities}"));
  CHECK(std::ranges::count(found, message) == 1);
  CHECK(problem(joined_yaml("[a, b]")).empty());
  CHECK(problem("members: [{name: m, model: {kind: torchscript, path: m.pt, output: [a, b]}, output: features}]\n"
                "combine: {over: features}\n")
            .empty());
  CHECK(problem("members: [{name: m, model: {kind: aoti, path: m.pt2, output: [a, b]}}]\n") ==
        "e.yaml:1:62: member 'm' joins several outputs into one row of numbers, which cannot be combined over "
        "probabilities; name one output, or set combine: {over: values}");
}

TEST_CASE("joined outputs have no views") {
  CHECK(problem(joined_yaml("[a, b]", ", views: [hflip]")) ==
        "e.yaml:1:101: member 'm' joins several outputs into one row of numbers, and those of views cannot be turned "
        "back; name one output, or set 'views: []' at this member");
  CHECK(problem(joined_yaml("[a]", ", views: [hflip]")).empty());
}

}  // namespace
}  // namespace tutti::test
