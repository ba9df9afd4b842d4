#include "config/merge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include "common/counted.hpp"
#include "common/weight_sum.hpp"
#include "config/candidates.hpp"
#include "config/input.hpp"
#include "config/model.hpp"
#include "config/ranks.hpp"
#include "config/reader.hpp"

namespace tutti::config {
namespace {

constexpr NumberRule kDensity{"a number above 0 and at most 1", [](double value) { return value > 0 && value <= 1; }};

/// Which methods take which key; a key of another method gets its own message instead of "unknown key".
struct KeyOfMethods {
  std::string_view key;
  std::vector<MergeMethod> methods;
};
const std::vector<KeyOfMethods>& keys_of_methods() {
  static const std::vector<KeyOfMethods> keys{{"weights", {MergeMethod::weighted}},
                                              {"normalize", {MergeMethod::weighted}},
                                              {"scaling", {MergeMethod::task_arithmetic, MergeMethod::ties}},
                                              {"density", {MergeMethod::ties}},
                                              {"disjoint", {MergeMethod::ties}},
                                              {"t", {MergeMethod::slerp}},
                                              {"input", {MergeMethod::greedy_soup}}};
  return keys;
}

/// Statistics are also estimated over `input`, whatever the method.
void refuse_keys_of_other_methods(Fields& fields, const MergeSpec& merge) {
  for (const KeyOfMethods& row : keys_of_methods()) {
    if (std::ranges::find(row.methods, merge.method) != row.methods.end()) continue;
    if (row.key == "input" && merge.batch_norm == BatchNorm::estimate) continue;
    std::vector<std::string> owners;
    for (const MergeMethod owner : row.methods) owners.emplace_back(to_name(owner));
    if (row.key == "input") owners.emplace_back("batch_norm: estimate");
    fields.refuse(row.key,
                  fmt::format("'{}' belongs to {}, not to {}", row.key, one_of(owners), to_name(merge.method)));
  }
}

/// Empty if something is wrong.
std::vector<std::size_t> read_over(Fields& fields, const std::vector<ReadMember>& members, Violations& violations) {
  std::vector<std::size_t> over;
  const Tree* tree = fields.find("over");
  if (tree == nullptr) {
    over.resize(members.size());
    std::iota(over.begin(), over.end(), std::size_t{0});
    return over;
  }
  return read_ranks(*tree, "over", members, violations);
}

void read_weights(Fields& fields, const std::vector<ReadMember>& members, MergeSpec& merge, Violations& violations) {
  fields.boolean("normalize", merge.normalize);
  const Tree* tree = fields.find("weights");
  const std::size_t before = violations.count();
  if (tree == nullptr) {
    for (const std::size_t rank : merge.over) merge.weights.push_back(members[rank].spec.weight);
  } else if (tree->kind != Tree::Kind::list) {
    violations.add(tree->position,
                   fmt::format("'weights' must be a list of numbers such as [1, 2], not {}", describe(*tree)));
  } else {
    for (const Tree& item : tree->items)
      if (const auto weight = read_number(item, "each item of 'weights'", kAnyNumber, violations); weight)
        merge.weights.push_back(*weight);
  }
  if (violations.count() != before || merge.over.empty()) return;
  const SourcePosition& position = fields.position_of("weights");
  if (merge.weights.size() != merge.over.size())
    violations.add(position, fmt::format("'weights' has {} for {}", counted(merge.weights.size(), "number"),
                                         counted(merge.over.size(), "member")));
  const WeightSum sum = weight_sum(merge.weights, merge.accumulate_f64);
  if (merge.normalize && !sum.divides)
    violations.add(position, fmt::format("the weights sum to {} and cannot be normalized; change them or set "
                                         "normalize: false",
                                         sum.total));
}

void read_of_method(Fields& fields, const std::vector<ReadMember>& members, MergeSpec& merge, Violations& violations) {
  refuse_keys_of_other_methods(fields, merge);
  const bool ties = merge.method == MergeMethod::ties;
  if (merge.method == MergeMethod::weighted) read_weights(fields, members, merge, violations);
  if (ties || merge.method == MergeMethod::task_arithmetic) fields.number("scaling", merge.scaling, kAnyNumber);
  if (ties) fields.number("density", merge.density, kDensity);
  if (ties) fields.choice("disjoint", merge.disjoint);
  if (merge.method == MergeMethod::slerp) fields.number("t", merge.t, kAnyNumber);
  const bool soup = merge.method == MergeMethod::greedy_soup;
  const Tree* input = nullptr;
  if (merge.batch_norm == BatchNorm::estimate)
    input = fields.require("input", "the images over which batch_norm: estimate computes the statistics");
  else if (soup)
    input = fields.find("input");
  if (input == nullptr) return;
  const std::size_t before = violations.count();
  merge.input = read_input(*input, soup ? Split::test : Split::train, violations);
  refuse_tiles(*merge.input, input->position, "the images of 'merge'", violations);
  if (violations.count() == before && merge.input->dataset == Dataset::memory)
    violations.add(input->position, "the images of 'merge' need a 'dataset': they cannot come through the API");
}

/// What is missing in a model that is to be merged, as the end of "member 'a' ..."; empty if nothing is.
std::string obstacle(const ModelSpec& model) {
  if (!files_of_candidates(model).empty())
    return "leaves open which of its files counts; name one by its kind and 'path'";
  if (is_saved(facts_of(model.kind))) return "has saved predictions, and no weights to merge";
  if (!takes_weights(facts_of(model.kind)))
    return fmt::format("is a {}, whose weights cannot be merged; export it as safetensors for one of {}",
                       kind_name(model.kind), fmt::join(kinds_where(takes_weights), ", "));
  return weights_path(model).empty() ? "names no weights to merge; add 'weights'" : "";
}

void check_members(const MergeSpec& merge, const std::vector<ReadMember>& members, Violations& violations) {
  const ReadMember* first = nullptr;
  for (const std::size_t rank : merge.over) {
    const ReadMember& member = members[rank];
    if (!member.sound) continue;
    if (const std::string problem = obstacle(member.spec.model); !problem.empty())
      violations.add(member.position, fmt::format("member '{}' {}", member.spec.name, problem));
    if (merge.batch_norm == BatchNorm::estimate && !facts_of(member.spec.model.kind).learns_statistics)
      violations.add(member.position,
                     fmt::format("member '{}' is a {}, which has no BatchNorm layers; batch_norm: estimate "
                                 "is for members of kind {}",
                                 member.spec.name, kind_name(member.spec.model.kind),
                                 one_of(kinds_where([](const KindFacts& kind) { return kind.learns_statistics; }))));
    if (first == nullptr) first = &member;
    const std::string_view kind = kind_name(member.spec.model.kind);
    const std::string_view wanted = kind_name(first->spec.model.kind);
    if (kind != wanted)
      violations.add(member.position,
                     fmt::format("member '{}' is a {} and cannot be merged with member '{}', a {}; name "
                                 "members of one kind in 'over'",
                                 member.spec.name, kind, first->spec.name, wanted));
  }
}

void check_base(const ModelSpec& base, const MergeSpec& merge, const std::vector<ReadMember>& members,
                const SourcePosition& position, Violations& violations) {
  const auto first = std::ranges::find_if(merge.over, [&](std::size_t rank) { return members[rank].sound; });
  if (first == merge.over.end()) return;
  const MemberSpec& member = members[*first].spec;
  if (kind_name(base.kind) != kind_name(member.model.kind))
    violations.add(position, fmt::format("'base' is a {} and member '{}' a {}; they must be of one kind",
                                         kind_name(base.kind), member.name, kind_name(member.model.kind)));
}

MergeSpec read_merge(const Tree& tree, const std::vector<ReadMember>& members, Violations& violations) {
  MergeSpec merge;
  Fields fields(tree, "'merge'", violations);
  const std::size_t before = violations.count();
  fields.choice("method", merge.method);
  fields.choice("batch_norm", merge.batch_norm);
  if (violations.count() != before) return merge;  // without the method no key can be checked
  merge.over = read_over(fields, members, violations);
  merge.accumulate_f64 = fields.one_of_words("accumulate", std::vector<std::string>{"float32", "float64"}) == "float64";
  read_of_method(fields, members, merge, violations);
  if (merge.method == MergeMethod::slerp && !merge.over.empty() && merge.over.size() != 2)
    violations.add(fields.position_of("over"),
                   fmt::format("slerp merges two members, not {}; name them in 'over'", merge.over.size()));
  fields.finish();
  check_members(merge, members, violations);
  return merge;
}

/// "task 'mnist'", or "task 0".
std::string title_of(const Tree& task, std::size_t number) {
  const Tree* name = task.find("name");
  return name != nullptr && name->kind == Tree::Kind::scalar ? fmt::format("task '{}'", one_line(name->scalar))
                                                             : fmt::format("task {}", number);
}

/// A soup is chosen by the images of `merge`, or by those that every task holds out. This looks at the text only: the
/// readers of these keys report whether the values are right.
void check_soup(const Tree& tree, const Tree* tasks, bool features, bool estimates, Violations& violations) {
  const auto holds_out = [](const Tree& task) {
    const Tree* images = task.find("held_out");
    return images != nullptr && images->kind != Tree::Kind::null;
  };
  const std::vector<Tree> list = tasks != nullptr ? tasks->items : std::vector<Tree>{};
  if (tasks != nullptr && list.empty()) return;
  const auto holding = static_cast<std::size_t>(std::ranges::count_if(list, holds_out));
  const Tree* input = tree.find("input");
  // Statistics are estimated over `input`, in addition to the images that the tasks hold out.
  const bool chooses = !estimates || (holding == 0 && !features);
  if (chooses && input != nullptr && input->kind != Tree::Kind::null) {
    if (holding > 0)
      violations.add(input->position,
                     "greedy_soup chooses by the 'input' of 'merge' or by the 'held_out' images of the tasks, not by "
                     "both; remove one");
    else if (features)
      violations.add(input->position,
                     "greedy_soup chooses by accuracy, and members that are combined over features output no classes; "
                     "give every task a head and 'held_out' images instead");
    return;
  }
  if (holding == 0) {
    violations.add(tree.position, features
                                      ? "greedy_soup chooses by accuracy, and members that are combined over features "
                                        "output no classes; give every task a head and 'held_out' images"
                                      : "'merge' needs 'input', the held-out images that greedy_soup chooses by; or "
                                        "give every task 'held_out' images");
    return;
  }
  for (std::size_t number = 0; number < list.size(); ++number)
    if (!holds_out(list[number]))
      violations.add(list[number].position, fmt::format("{} has no 'held_out' images for greedy_soup, but "
                                                        "other tasks have; give some to every task",
                                                        title_of(list[number], number)));
}

}  // namespace

std::filesystem::path weights_path(const ModelSpec& model) {
  if (!takes_weights(facts_of(model.kind))) return {};
  const std::string* folder = folder_of(model.kind);
  return folder != nullptr && model.weights.empty() ? std::filesystem::path(*folder) : model.weights;
}

void read_merging(Fields& top, const std::vector<ReadMember>& members, EnsembleSpec& spec, Violations& violations) {
  const Tree* base = top.find("base");
  const std::size_t before_base = violations.count();
  if (base != nullptr) {
    spec.base = read_model(*base, violations);
    if (violations.count() == before_base)
      if (const std::string problem = obstacle(*spec.base); !problem.empty())
        violations.add(base->position, fmt::format("'base' {}", problem));
  }
  const bool base_sound = violations.count() == before_base;
  const Tree* tree = top.find("merge");
  if (tree == nullptr) return;
  const std::size_t before = violations.count();
  spec.merge = read_merge(*tree, members, violations);
  if (violations.count() != before) return;
  const MergeMethod method = spec.merge->method;
  if (spec.base && base_sound) check_base(*spec.base, *spec.merge, members, base->position, violations);
  if (method == MergeMethod::greedy_soup)
    check_soup(*tree, top.find("tasks"), spec.combine.over == OutputKind::features,
               spec.merge->batch_norm == BatchNorm::estimate, violations);
  if (!spec.base && (method == MergeMethod::task_arithmetic || method == MergeMethod::ties))
    violations.add(tree->position,
                   fmt::format("method {} needs 'base', the model that the members were fine-tuned from, "
                               "such as base: {{kind: small-cnn, weights: base.safetensors}}",
                               to_name(method)));
}

}  // namespace tutti::config
