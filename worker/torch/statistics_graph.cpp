#include "worker/torch/statistics_graph.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <vector>

#include <tutti/error.hpp>

#include "worker/torch/script_module.hpp"

namespace tutti::worker {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

constexpr std::string_view kMean = "running_mean";
constexpr std::string_view kVar = "running_var";
constexpr std::string_view kCounter = "num_batches_tracked";

// Arguments of aten::batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps,
// cudnn_enabled).
enum Argument : std::size_t { kMeanArgument = 3, kVarArgument = 4, kTrainingArgument = 5, kMomentumArgument = 6 };

std::vector<Node*> nodes_of(Block* block, c10::Symbol kind) {
  std::vector<Node*> found;
  for (Node* node : block->nodes()) {
    if (node->kind() == kind) found.push_back(node);
    for (Block* inner : node->blocks()) {
      const std::vector<Node*> within = nodes_of(inner, kind);
      found.insert(found.end(), within.begin(), within.end());
    }
  }
  return found;
}

/// A scripted layer reads `self.training` to choose its buffers: replaced by a constant, the graph passes them
/// directly.
void settle_mode(std::shared_ptr<Graph>& graph) {
  for (Node* node : nodes_of(graph->block(), c10::prim::GetAttr)) {
    if (node->s(c10::attr::name) != "training" || node->output()->type() != c10::BoolType::get()) continue;
    const torch::jit::WithInsertPoint here(node);
    node->output()->replaceAllUsesWith(graph->insertConstant(false));
  }
  torch::jit::ConstantPropagation(graph);
}

/// "layer1.0.bn1.running_mean", if the value is an attribute of `self`; else empty.
std::string name_of(const Value* value, const Value* self) {
  std::string name;
  for (; value->node()->kind() == c10::prim::GetAttr; value = value->node()->input(0))
    name = name.empty() ? value->node()->s(c10::attr::name)
                        : fmt::format("{}.{}", value->node()->s(c10::attr::name), name);
  return value == self ? name : "";
}

}  // namespace

StatisticsGraph::StatisticsGraph(const torch::jit::Module& module, const std::string& name)
    : name_(name), module_(module), graph_(module.get_method("forward").graph()->copy()) {
  for (auto& [key, tensor] : state_of(module_)) state_[key] = tensor;
  torch::jit::Inline(*graph_);
  settle_mode(graph_);
  for (Node* node : nodes_of(graph_->block(), c10::aten::batch_norm)) observe(node);
  if (layers_.empty())
    throw Error(ErrorKind::usage, fmt::format("'{}' has no BatchNorm layers with statistics to estimate", name_),
                "its forward pass has no aten::batch_norm with running statistics", "remove 'batch_norm'");
  code_ = torch::jit::Code(graph_, "forward");
  reset();
}

// With a momentum of 1 a layer leaves the statistics of the batch in its buffers, with the unbiased variance. Each
// layer gets separate buffers, followed by two sums and a counter, so that every call of it counts.
void StatisticsGraph::observe(Node* node) {
  if (node->input(kMeanArgument)->mustBeNone()) return;  // it has no statistics
  const Layer& layer = layer_of(node);
  const auto constant = [&](const at::Tensor& tensor) { return graph_->insertConstant(tensor); };
  const torch::jit::WithInsertPoint before(node);
  Value* const mean = constant(layer.mean);
  Value* const var = constant(layer.var);
  node->replaceInput(kMeanArgument, mean);
  node->replaceInput(kVarArgument, var);
  node->replaceInput(kTrainingArgument, graph_->insertConstant(true));
  node->replaceInput(kMomentumArgument, graph_->insertConstant(1.0));
  const torch::jit::WithInsertPoint after(node->next());
  graph_->insert(c10::aten::add_, {constant(layer.mean_sum), mean});
  graph_->insert(c10::aten::add_, {constant(layer.var_sum), var});
  graph_->insert(c10::aten::add_, {constant(layer.calls), graph_->insertConstant(1)});
}

StatisticsGraph::Layer& StatisticsGraph::layer_of(const Node* node) {
  const std::string mean = name_of(node->input(kMeanArgument), graph_->inputs().at(0));
  const std::string prefix = mean.ends_with(kMean) ? mean.substr(0, mean.size() - kMean.size()) : "";
  const std::string var = fmt::format("{}{}", prefix, kVar);
  if (!mean.ends_with(kMean) || name_of(node->input(kVarArgument), graph_->inputs().at(0)) != var ||
      !state_.contains(mean) || !state_.contains(var))
    throw Error(ErrorKind::usage, fmt::format("cannot tell which statistics a BatchNorm layer of '{}' uses", name_),
                "they are not the buffers running_mean and running_var of one layer",
                "export the model with torch.jit.trace, or remove 'batch_norm'");
  const auto found = layers_.find(prefix);
  if (found != layers_.end()) return found->second;
  const at::Tensor& like = state_.at(mean);
  const auto sum = [&] { return at::zeros_like(like, like.options().dtype(at::kDouble)); };
  return layers_[prefix] = {at::zeros_like(like), at::ones_like(like), sum(), sum(), at::zeros({}, at::kLong)};
}

void StatisticsGraph::reset() {
  for (const auto& row : sums()) row.second.zero_();
  // A call adds 0 times the old value to that of the batch, and 0 times infinity is NaN.
  for (auto& row : layers_) {
    row.second.mean.zero_();
    row.second.var.fill_(1);
  }
}

void StatisticsGraph::add(const at::Tensor& batch) {
  const at::NoGradGuard without_gradients;
  torch::jit::Stack stack{module_._ivalue(), batch};
  module_.get_method("forward").function().getSchema().checkAndNormalizeInputs(stack);
  torch::jit::InterpreterState(code_).run(stack);
}

NamedTensors StatisticsGraph::sums() const {
  NamedTensors sums;
  for (const auto& [prefix, layer] : layers_) {
    sums.emplace_back(fmt::format("{}{}", prefix, kMean), layer.mean_sum);
    sums.emplace_back(fmt::format("{}{}", prefix, kVar), layer.var_sum);
    sums.emplace_back(fmt::format("{}{}", prefix, kCounter), layer.calls);
  }
  return sums;
}

NamedTensors StatisticsGraph::averages() const {
  NamedTensors averages;
  for (const auto& [prefix, layer] : layers_) {
    const std::int64_t calls = layer.calls.item<std::int64_t>();
    if (calls == 0) continue;
    for (const auto& [key, sum] : {std::pair(kMean, layer.mean_sum), std::pair(kVar, layer.var_sum)}) {
      const std::string name = fmt::format("{}{}", prefix, key);
      if (!at::isfinite(sum).all().item<bool>())
        throw Error(ErrorKind::failed, fmt::format("{} is not finite over these images", name),
                    "NaN or infinity among the values, or a batch with one value per channel, which has no variance",
                    "look for NaN in images and weights; choose 'batch_images' so that no batch has only one image");
      averages.emplace_back(name, sum.div(calls).to(state_.at(name).scalar_type()));
    }
    const std::string counter = fmt::format("{}{}", prefix, kCounter);
    if (const auto found = state_.find(counter); found != state_.end())
      averages.emplace_back(counter, layer.calls.to(found->second.scalar_type()).reshape(found->second.sizes()));
  }
  return averages;
}

}  // namespace tutti::worker
