// All members at each batch in parallel, in LibTorch's inter-op pool. Networks that Tutti knows become one TorchScript
// graph: each member's packed forward pass is traced unchanged, so that the kernels and the bits are those of the
// workers, and is in the graph as a branch (prim::fork) that is joined at its end (aten::wait). Weights are inputs of
// the graph: oneDNN's blocked tensors have no storage that TorchScript could hold as a constant.
//
// Members that LibTorch cannot look into (fake members, and the user's TorchScript, whose graph stays in its model) are
// a task of the same pool for each member and batch. On a GPU branches are streams: recorded.hpp.
#include <ATen/Parallel.h>
#include <ATen/ops/softmax.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <exception>
#include <functional>
#include <latch>
#include <memory>
#include <optional>

#include <tutti/error.hpp>

#include "bench/single/members.hpp"
#include "bench/single/torch/networks.hpp"
#include "bench/single/torch/recorded.hpp"
#include "worker/torch/models.hpp"
#include "worker/torch/torch_errors.hpp"

namespace tutti::bench {
namespace {

namespace jit = torch::jit;
using worker::Network;

/// `like` with its weights taken from `stack`, if they follow the images in the order of named_tensors().
Network with_weights_of(const Network& like, const jit::Stack& stack) {
  Network network = like;
  std::size_t next = 1;
  const auto take = [&](auto& layer) {
    layer.weight = stack[next++].toTensor();
    layer.bias = stack[next++].toTensor();
  };
  for (worker::Convolution& layer : network.convolutions) take(layer);
  for (worker::Dense& layer : network.dense) take(layer);
  return network;
}

/// Calls `work` on a thread of the inter-op pool, and waits. The calling thread must never compute itself: OpenMP would
/// keep a team for it too, see more threads than cores, and let every team sleep at each operation (measured: 2.3
/// to 2.7 times the time with two threads on two cores).
void on_pool(const std::function<void()>& work) {
  std::exception_ptr failure;
  std::latch done(1);
  at::launch([&] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    done.count_down();
  });
  done.wait();
  if (failure) std::rethrow_exception(failure);
}

class Graph {
 public:
  /// `images` is a typical batch; the number of images may differ between calls.
  Graph(const std::vector<Network>& members, bool softmax, const at::Tensor& images)
      : graph_(std::make_shared<jit::Graph>()), images_(graph_->addInput("images")) {
    std::vector<jit::Value*> futures;
    for (const Network& member : members) futures.push_back(add_branch(member, softmax, images));
    for (jit::Value* const future : futures) {
      jit::Node* const wait = graph_->create(c10::aten::wait, {future}, 1);
      wait->output()->setType(c10::TensorType::get());
      graph_->registerOutput(graph_->insertNode(wait)->output());
    }
    graph_->lint();
    executor_ = jit::GraphExecutor(graph_, "branches");
  }

  /// The members' outputs, [count, classes] each.
  jit::Stack operator()(const at::Tensor& images) {
    jit::Stack stack{images};
    stack.insert(stack.end(), weights_.begin(), weights_.end());
    executor_.run(stack);
    return stack;
  }

 private:
  jit::Value* add_branch(const Network& member, bool softmax, const at::Tensor& images) {
    jit::Stack inputs{images};
    for (const auto& [name, tensor] : worker::named_tensors(member)) inputs.emplace_back(tensor);
    const auto forward = [&](const jit::Stack& stack) -> jit::Stack {
      const at::Tensor logits = worker::forward(with_weights_of(member, stack), stack[0].toTensor());
      return {softmax ? at::softmax(logits, 1) : logits};
    };
    const auto traced = jit::tracer::trace(inputs, forward, [](const at::Tensor&) { return std::string(); });
    jit::Node* const fork = graph_->create(c10::prim::fork, 1);
    fork->g_(c10::attr::Subgraph, traced.first->graph);
    fork->addInput(images_);
    for (std::size_t i = 1; i < inputs.size(); ++i) {
      fork->addInput(graph_->addInput());
      weights_.push_back(inputs[i]);
    }
    fork->output()->setType(c10::FutureType::create(c10::TensorType::get()));
    return graph_->insertNode(fork)->output();
  }

  std::shared_ptr<jit::Graph> graph_;
  jit::Value* images_;
  jit::Stack weights_;
  jit::GraphExecutor executor_;
};

class GraphBranches final : public Computation {
 public:
  explicit GraphBranches(const SingleJob& job)
      : images_(job),
        networks_(load_networks(job)),
        width_(common_classes(job, networks_)),
        batch_images_(common_batch(job)) {
    const MemberRequest& like = job.members.front();
    const c10::InferenceMode guard;
    on_pool([&] {
      for (Network& network : networks_) network = worker::packed(network, like.seen(), like.batch_images);
      graph_.emplace(networks_, wants_softmax(like), made_up(like, like.batch_images));
    });
    warm_up_with(like, [&](const at::Tensor& images) { (*graph_)(images); });
  }

  std::uint32_t width() const override { return width_; }

  std::vector<double> predict(const Input& input, MemberAnswers& answers) override {
    const c10::InferenceMode guard;
    for_each_segment(input, [&](const Run& segment) {
      for_each_batch(segment, batch_images_, [&](const Run& batch) {
        const jit::Stack members = (*graph_)(images_(input, batch));
        for (std::size_t m = 0; m < members.size(); ++m) keep(members[m].toTensor(), batch, answers[m]);
      });
    });
    return {};
  }

 private:
  CommonImages images_;
  std::vector<Network> networks_;
  std::uint32_t width_;
  std::uint32_t batch_images_;
  std::optional<Graph> graph_;
};

class LaunchedBranches final : public Computation {
 public:
  explicit LaunchedBranches(const SingleJob& job) : batch_images_(common_batch(job)) {
    worker::set_up_torch(job.members.front().threads, job.between);
    members_ = load_members(job);
    for (Member& member : members_) on_pool([&] { warm_up(member); });
    width_ = common_width(job, [this](std::size_t m) { return width_of(members_[m]); });
  }

  std::uint32_t width() const override { return width_; }

  std::vector<double> predict(const Input& input, MemberAnswers& answers) override {
    for_each_segment(input, [&](const Run& segment) {
      for_each_batch(segment, batch_images_, [&](const Run& batch) { compute(input, batch, answers); });
    });
    return {};
  }

 private:
  void compute(const Input& input, const Run& batch, MemberAnswers& answers) {
    std::vector<std::exception_ptr> failures(members_.size());
    std::latch done(std::ssize(members_));
    for (std::size_t m = 0; m < members_.size(); ++m)
      at::launch([&, m] {
        try {
          predict_segment(members_[m], input, batch, answers[m]);
        } catch (...) {
          failures[m] = std::current_exception();
        }
        done.count_down();
      });
    done.wait();
    for (const std::exception_ptr& failure : failures)
      if (failure) std::rethrow_exception(failure);
  }

  std::vector<Member> members_;
  std::uint32_t width_ = 0;
  std::uint32_t batch_images_;
};

}  // namespace

std::unique_ptr<Computation> make_branches(const SingleJob& job) {
  if (on_gpu(job)) return make_recorded_branches(job, graphs_of_gpu());
  if (!are_networks(job) || !see_the_same(job)) return std::make_unique<LaunchedBranches>(job);
  return worker::explained(ErrorKind::failed, "LibTorch could not make a graph of the members", "",
                           [&] { return std::make_unique<GraphBranches>(job); });
}

}  // namespace tutti::bench
