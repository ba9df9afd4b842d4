#include "worker/fake.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/random.hpp"
#include "merge/safetensors.hpp"

namespace tutti::worker {
namespace {

void softmax(std::span<float> row) {
  const float top = *std::max_element(row.begin(), row.end());
  float sum = 0;
  for (float& value : row) sum += value = std::exp(value - top);
  for (float& value : row) value /= sum;
}

class Fake final : public Model, public Trainable {
 public:
  explicit Fake(const MemberRequest& request) : request_(request), model_(std::get<FakeModel>(request.model)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(model_.load_delay_ms));
    strike(FaultPhase::load, {});
    bias_.resize(model_.classes);
    for (std::size_t c = 0; c < bias_.size(); ++c) bias_[c] = unit_float(random_at(request.seed, c));
    if (!request.weights.empty()) load_weights();
  }

  std::uint32_t width() const override { return model_.classes; }
  std::uint64_t parameters() const override { return bias_.size(); }

  void predict(const float* images, std::uint32_t count, std::span<float> output) override {
    look_at(images, count);
    compute(images, count, output);
    strike(FaultPhase::predict, output);
  }

  std::span<const float> probe(const float* images, std::uint32_t count) override {
    probed_.resize(std::size_t{count} * model_.classes);
    look_at(images, count);
    compute(images, count, probed_);
    strike(FaultPhase::warm_up, probed_);
    return probed_;
  }

  Trainable* trainable() override { return this; }
  void begin_training() override { step_ = 0; }

  TrainBatch train(const float* images, std::span<const std::int64_t> labels,
                   std::span<const std::uint32_t> rows) override {
    TrainBatch result;
    std::vector<float> answer(model_.classes);
    first_values_.clear();
    for (const std::uint32_t row : rows) {
      first_values_.push_back(images[row * request_.shape.elements()]);
      compute(images + row * request_.shape.elements(), 1, answer);
      const auto label = static_cast<std::size_t>(labels[row]);
      if (label >= answer.size())
        throw std::runtime_error(
            fmt::format("label {} is outside the {}", labels[row], counted(answer.size(), "class")));
      result.loss_sum += std::abs(1.0 - static_cast<double>(answer[label]));
      result.correct += std::max_element(answer.begin(), answer.end()) == answer.begin() + labels[row] ? 1 : 0;
      bias_[label] += learning_rate();
      ++step_;
    }
    float fault = 0;
    strike(FaultPhase::train, std::span(&fault, 1));
    result.loss_sum += static_cast<double>(fault);
    return result;
  }

  void save(const std::filesystem::path& file) override {
    const merge::TensorView bias{
        "bias", merge::Dtype::f32, {static_cast<std::int64_t>(bias_.size())}, std::as_bytes(std::span(bias_))};
    merge::write_safetensors(file, std::span(&bias, 1), {{"kind", "fake"}});
  }

  void lend_state(const std::function<void(std::span<const merge::TensorView>)>& use) override {
    use(std::array{merge::TensorView{"params/bias",
                                     merge::Dtype::f32,
                                     {static_cast<std::int64_t>(bias_.size())},
                                     std::as_bytes(std::span(bias_))},
                   merge::TensorView{"step", merge::Dtype::i64, {}, std::as_bytes(std::span(&step_, 1))}});
  }

  void take_state(const merge::Safetensors& state) override {
    const merge::TensorView bias = state.tensor("params/bias");
    const merge::TensorView step = state.tensor("step");
    if (bias.dtype != merge::Dtype::f32 || bias.bytes.size() != bias_.size() * sizeof(float) ||
        step.dtype != merge::Dtype::i64 || step.bytes.size() != sizeof step_)
      throw Error(ErrorKind::failed,
                  fmt::format("the state is not that of a fake member of {}", counted(bias_.size(), "class")));
    std::memcpy(bias_.data(), bias.bytes.data(), bias.bytes.size());
    std::memcpy(&step_, step.bytes.data(), sizeof step_);
  }

 private:
  void load_weights() {
    const auto file = merge::Safetensors::read(request_.weights);
    const merge::TensorView bias = file.tensor("bias");
    if (bias.dtype != merge::Dtype::f32 || bias.bytes.size() != bias_.size() * sizeof(float))
      throw std::runtime_error(
          fmt::format("'{}': tensor 'bias' must hold {} float32 values", request_.weights, bias_.size()));
    std::copy_n(bias.bytes.begin(), bias.bytes.size(), std::as_writable_bytes(std::span(bias_)).begin());
  }

  // The rate falls with every image, so that the weights depend on the order of the images and on the restored step.
  float learning_rate() const {
    return static_cast<float>(request_.learning_rate / (1.0 + static_cast<double>(step_) / 1024));
  }

  // Only for faults at a value: the first values are a whole image apart, so each is a cache miss.
  void look_at(const float* images, std::uint32_t count) {
    if (model_.faults.empty()) return;
    first_values_.resize(count);
    for (std::uint32_t image = 0; image < count; ++image)
      first_values_[image] = images[image * request_.shape.elements()];
  }

  void compute(const float* images, std::uint32_t count, std::span<float> output) {
    if (model_.delay_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(model_.delay_us));
    const std::size_t elements = request_.shape.elements();
    if (request_.copy_input) {
      copy_.assign(images, images + count * elements);
      images = copy_.data();
    }
    // The cast is the scripted fault: such a model changes its input.
    if (model_.writes_input && count > 0) *const_cast<volatile float*>(images) = 0.0F;
    for (std::uint32_t image = 0; image < count; ++image) {
      const std::span row = output.subspan(std::size_t{image} * model_.classes, model_.classes);
      std::copy(bias_.begin(), bias_.end(), row.begin());
      for (std::size_t i = 0; model_.reads_input && i < elements; ++i)
        row[i % model_.classes] += images[image * elements + i];
      if (request_.output == OutputKind::logits && request_.over == OutputKind::probabilities) softmax(row);
    }
  }

  void strike(FaultPhase phase, std::span<float> output) {
    const std::uint64_t batch = batches_[static_cast<std::size_t>(phase)]++;
    for (const ScriptedFault& fault : model_.faults) {
      if (fault.phase != phase) continue;
      const bool now = fault.at_value ? std::ranges::find(first_values_, *fault.at_value) != first_values_.end()
                                      : fault.at_batch == batch;
      if (now) strike(fault.kind, output);
    }
  }

  static void strike(FaultKind kind, std::span<float> output) {
    switch (kind) {
      case FaultKind::none:
        return;
      case FaultKind::exception:
        throw std::runtime_error("scripted fault: exception");
      case FaultKind::exit:
        ::_exit(7);
      case FaultKind::abort:
        std::abort();
      case FaultKind::segfault:
        ::signal(SIGSEGV, SIG_DFL);
        ::raise(SIGSEGV);
        return;
      case FaultKind::kill:
        ::raise(SIGKILL);
        return;
      case FaultKind::hang:
        for (;;) ::pause();
      case FaultKind::nan:
        if (!output.empty()) output.front() = std::numeric_limits<float>::quiet_NaN();
        return;
      case FaultKind::stop:
        ::raise(SIGSTOP);
        return;
    }
  }

  MemberRequest request_;
  FakeModel model_;
  std::vector<float> bias_;
  std::vector<float> probed_;
  std::vector<float> copy_;
  std::vector<float> first_values_;         // of the images of the current batch
  std::int64_t step_ = 0;                   // images trained on since training started
  std::array<std::uint64_t, 4> batches_{};  // per phase
};

}  // namespace

std::unique_ptr<Model> make_fake_model(const MemberRequest& request) { return std::make_unique<Fake>(request); }

}  // namespace tutti::worker
