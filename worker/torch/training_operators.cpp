#include "worker/torch/training_operators.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <vector>

namespace tutti::worker {
namespace {

using torch::jit::Node;
using torch::jit::Value;

/// Operators with a flag `train` or `training`, by the place of the flag.
struct Flagged {
  std::string_view name;
  std::size_t flag;
};
constexpr std::array<Flagged, 8> kFlagged{{{"aten::dropout", 2},
                                           {"aten::dropout_", 2},
                                           {"aten::feature_dropout", 2},
                                           {"aten::alpha_dropout", 2},
                                           {"aten::feature_alpha_dropout", 2},
                                           {"aten::native_dropout", 2},
                                           {"aten::rrelu", 3},
                                           {"aten::batch_norm", 5}}};
constexpr std::array<std::string_view, 14> kRandom{
    "aten::rand",     "aten::randn",       "aten::rand_like",    "aten::randn_like",  "aten::randint",
    "aten::randperm", "aten::bernoulli",   "aten::bernoulli_",   "aten::normal",      "aten::normal_",
    "aten::uniform_", "aten::multinomial", "aten::exponential_", "aten::randint_like"};

class Search {
 public:
  void look_at(const torch::jit::Block* block) {
    for (const Node* node : block->nodes()) {
      look_at(node);
      for (const torch::jit::Block* inner : node->blocks()) look_at(inner);
    }
  }

  std::string found() const {
    std::vector<std::string> parts;
    if (!training_.empty()) parts.push_back(fmt::format("has {} in training mode", fmt::join(training_, " and ")));
    if (!random_.empty()) parts.push_back(fmt::format("draws random numbers ({})", fmt::join(random_, ", ")));
    if (keeps_) parts.emplace_back("changes its buffers when it is called");
    return parts.empty() ? std::string{} : fmt::format("it {}", fmt::join(parts, ", and "));
  }

 private:
  void look_at(const Node* node) {
    const std::string name = node->kind().toQualString();
    const auto* const flagged = std::ranges::find(kFlagged, name, &Flagged::name);
    if (flagged != kFlagged.end() && is_true(node, flagged->flag)) training_.insert(name);
    if (std::ranges::find(kRandom, name) != kRandom.end()) random_.insert(name);
    if (node->kind() == c10::prim::SetAttr || writes_attribute(node, name)) keeps_ = true;
  }

  static bool is_true(const Node* node, std::size_t input) {
    return node->inputs().size() > input && torch::jit::constant_as<bool>(node->input(input)).value_or(false);
  }

  /// "aten::add_" of a buffer.
  static bool writes_attribute(const Node* node, std::string_view name) {
    return name.starts_with("aten::") && name.ends_with('_') && !name.ends_with("__") && !node->inputs().empty() &&
           node->input(0)->node()->kind() == c10::prim::GetAttr;
  }

  std::set<std::string> training_;
  std::set<std::string> random_;
  bool keeps_ = false;
};

}  // namespace

std::string training_operators(const torch::jit::Module& module) {
  const auto method = module.find_method("forward");
  if (!method) return {};
  const auto graph = method->graph()->copy();
  torch::jit::Inline(*graph);
  Search search;
  search.look_at(graph->block());
  return search.found();
}

}  // namespace tutti::worker
