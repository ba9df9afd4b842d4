// `cascade`: who is asked only for doubtful samples, and what is refused.
#include <doctest/doctest.h>

#include "config/load.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::test {
namespace {

/// A description of four members with these lines.
std::string with(const std::string& lines) {
  return "members:\n"
         "  - {name: a, model: {kind: small-cnn}}\n"
         "  - {name: b, model: {kind: small-cnn}}\n"
         "  - {name: c, model: {kind: small-cnn}}\n"
         "  - {name: d, model: {kind: small-cnn}}\n" +
         lines;
}

config::EnsembleSpec load(const std::string& lines) { return config::load_text(with(lines), "e.yaml", {{}, {}}, {}); }

std::string problem(const std::string& lines) {
  const auto error = error_of([&] { load(lines); });
  return error ? error->detail().empty() ? error->message() : error->detail() : "nothing";
}

using config::CascadeStep;
using config::Doubt;

TEST_CASE("a cascade is one step or a list of them and without 'after' all members before decide") {
  CHECK(load("cascade: {after: [b, a], when: {confidence_below: 0.9}, then: [d, c]}\n").cascade ==
        std::vector<CascadeStep>{{{0, 1}, Doubt::confidence_below, 0.9, {2, 3}}});
  CHECK(load("cascade:\n  - {when: {margin_below: 0.2}, then: [c]}\n  - {when: {entropy_above: 0}, then: [3]}\n")
            .cascade ==
        std::vector<CascadeStep>{{{0, 1}, Doubt::margin_below, 0.2, {2}}, {{0, 1, 2}, Doubt::entropy_above, 0, {3}}});
  CHECK(load("cascade: null\n").cascade.empty());
  CHECK(load("cascade: []\n").cascade.empty());
}

TEST_CASE("what the description in effect says of a cascade is read back as the same") {
  const auto spec = load(
      "cascade: [{when: {margin_below: 0.25}, then: [c]}, {after: [c], when: {entropy_above: 1}, "
      "then: [d]}]\n");
  const auto again = config::load_text(spec.effective_yaml, "effective", {{}, {}}, {});
  CHECK(again.cascade == spec.cascade);
}

TEST_CASE("a cascade that makes no sense is refused with its position") {
  CHECK(problem("cascade: 3\n") == "e.yaml:6:10: an entry of 'cascade' must be a map of keys and values, not '3'");
  CHECK(problem("cascade: {then: [c]}\n") ==
        "e.yaml:6:10: an entry of 'cascade' needs 'when', such as {confidence_below: 0.9}");
  CHECK(problem("cascade: {when: {confidence_below: 0.9}}\n") ==
        "e.yaml:6:10: an entry of 'cascade' needs 'then', the members that are asked for doubtful samples");
  CHECK(problem("cascade: {when: {}, then: [c]}\n") ==
        "e.yaml:6:17: 'when' must say one of confidence_below, margin_below and entropy_above, such as "
        "{confidence_below: 0.9}; it says none");
  CHECK(problem("cascade: {when: {confidence_below: 0.9, margin_below: 0.1}, then: [c]}\n") ==
        "e.yaml:6:17: 'when' must say one of confidence_below, margin_below and entropy_above, such as "
        "{confidence_below: 0.9}; it says several");
  CHECK(problem("cascade: {when: {confidence_below: 1.5}, then: [c]}\n") ==
        "e.yaml:6:36: 'confidence_below' must be a number above 0 and at most 1, not '1.5'");
  CHECK(problem("cascade: {when: {entropy_above: -1}, then: [c]}\n") ==
        "e.yaml:6:33: 'entropy_above' must be a number from 0 up, not '-1'");
  CHECK(problem("cascade: {when: {confidence_below: 0.9}, then: [e]}\n") ==
        "e.yaml:6:49: 'then' names 'e', but no member has that name");
}

TEST_CASE("members of a cascade are asked once and after those that decide") {
  CHECK(problem("cascade: {after: [c], when: {confidence_below: 0.9}, then: [c]}\n") ==
        "e.yaml:6:10: 'after' names member 'c', which is asked in this step; a step can only follow members that are "
        "asked before it");
  CHECK(problem("cascade: [{after: [d], when: {confidence_below: 0.9}, then: [c]}, {when: {margin_below: 0.9}, then: "
                "[d]}]\n") ==
        "e.yaml:6:11: 'after' names member 'd', which is asked in a later step; a step can only "
        "follow members that are asked before it");
  CHECK(problem("cascade: [{when: {confidence_below: 0.9}, then: [c]}, {when: {margin_below: 0.9}, then: [c]}]\n") ==
        "e.yaml:6:55: 'cascade' asks member 'c' later twice; name it in one 'then'");
  CHECK(problem("cascade: {when: {confidence_below: 0.9}, then: [a, b, c, d]}\n") ==
        "e.yaml:6:10: 'cascade' asks every member later; leave those out of 'then' that see every sample");
}

TEST_CASE("a cascade needs a combination that says how sure it is") {
  const std::string cascade = "cascade: {when: {confidence_below: 0.9}, then: [c]}\n";
  const auto refused = [&](const std::string& combine, const std::string& why) {
    CHECK(problem(cascade + combine) ==
          "e.yaml:6:10: 'cascade' needs a combination that says how sure it is of a sample: " + why);
  };
  refused("combine: {rule: none}\n", "rule none combines nothing");
  refused("combine: {rule: sum}\n", "the values of rule sum are no probabilities; use mean");
  refused("combine: {rule: weighted, normalize: false}\n",
          "the values of rule weighted are no probabilities without 'normalize'");
  refused("combine: {over: logits}\n", "logits do not say how sure a model is; combine over probabilities");
  refused("combine: {activation: sigmoid}\n", "with 'activation: sigmoid' several labels may be right");
  for (const char* rule : {"mean", "weighted", "max", "median", "vote", "most_confident", "geometric_mean"})
    CHECK(problem(cascade + "combine: {rule: " + rule + "}\n") == "nothing");
  CHECK(problem(cascade + "combine: {rule: vote, over: logits}\n") == "nothing");
}

TEST_CASE("the members that are combined without the others have weights that do not cancel") {
  CHECK(
      problem("cascade: {when: {confidence_below: 0.9}, then: [c, d]}\ncombine: {rule: vote}\ndefaults: {weight: 0}\n")
          .starts_with("e.yaml:6:10: 'cascade' combines a, b without the others, and their weights sum to 0; give one "
                       "of them a 'weight' above 0"));
}

TEST_CASE("the vote of one member is never in doubt") {
  CHECK(problem("cascade: {after: [a], when: {confidence_below: 0.9}, then: [c]}\ncombine: {rule: vote}\n") ==
        "e.yaml:6:10: 'cascade' asks whether member 'a' is sure, and the vote of one member always is; name several in "
        "'after', or use rule mean");
}

TEST_CASE("fused members are asked together") {
  CHECK(
      problem("cascade: {when: {confidence_below: 0.9}, then: [c]}\nworkers: [{members: [b, c], mode: fused}]\n") ==
      "e.yaml:6:10: members 'b' and 'c' are fused and so computed together, but 'cascade' asks one of them later; use "
      "'mode: loop' or 'mode: threads'");
  CHECK(
      problem("cascade: {when: {confidence_below: 0.9}, then: [c, d]}\nworkers: [{members: [c, d], mode: fused}]\n") ==
      "nothing");
  CHECK(problem("cascade: {when: {confidence_below: 0.9}, then: [c]}\nworkers: [{members: [b, c]}]\n") == "nothing");
}

TEST_CASE("members that are asked in different rounds have no mode that computes them together") {
  using Modes = std::vector<UnitMode>;
  const auto modes = [](const std::string& shared) {
    return load("cascade: {when: {confidence_below: 0.9}, then: [c, d]}\nworkers: [{members: [" + shared +
                "], mode: auto}]\n")
        .workers[0]
        .modes;
  };
  CHECK(modes("b, c") == Modes{UnitMode::loop, UnitMode::threads});
  CHECK(modes("c, d") == Modes{UnitMode::loop, UnitMode::threads, UnitMode::fused});
}

TEST_CASE("a cascade chooses samples and tiles are none") {
  CHECK(problem("cascade: {when: {confidence_below: 0.9}, then: [c]}\ninput: {dataset: memory, shape: [3, 64, 64], "
                "tiles: {size: 32}}\n") ==
        "e.yaml:6:10: 'cascade' chooses samples, and with 'tiles' these are parts of an image; leave out one");
}

}  // namespace
}  // namespace tutti::test
