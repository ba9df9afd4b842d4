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

#include "common/activation.hpp"
#include "common/counted.hpp"
#include "common/random.hpp"
#include "common/tensor_values.hpp"
#include "merge/safetensors.hpp"
#include "worker/failure.hpp"
#include "worker/row_work.hpp"

namespace tutti::worker {
namespace {

class Fake final : public Model, public Trainable {
 public:
  explicit Fake(const MemberRequest& request) : request_(request), model_(std::get<FakeModel>(request.model)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(model_.load_delay_ms));
    strike(FaultPhase::load, {});
    bias_.resize(model_.classes);
    for (std::size_t c = 0; c < bias_.size(); ++c) bias_[c] = unit_float(random_at(request.seed, c));
    if (!request.weights.empty()) load_weights();
  }

  Dims output() const override {
    Dims sizes{model_.classes};
    sizes.insert(sizes.end(), model_.per_class.begin(), model_.per_class.end());
    return sizes;
  }
  std::uint64_t parameters() const override { return bias_.size(); }

  void predict(const Samples& samples, std::uint32_t count, std::span<float> output) override {
    look_at(samples, count);
    compute(samples, count, output);
    strike(FaultPhase::predict, output);
  }

  std::span<const float> probe(const Samples& samples, std::uint32_t count) override {
    probed_.resize(std::size_t{count} * model_.width());
    look_at(samples, count);
    compute(samples, count, probed_);
    strike(FaultPhase::warm_up, probed_);
    return probed_;
  }

  void expect_images(const ImageShape& shape) override { request_.takes.front().seen = shape.layout(); }

  Trainable* trainable() override { return this; }
  void begin_training() override { step_ = 0; }

  TrainBatch train(const Samples& samples, std::span<const std::int64_t> labels,
                   std::span<const std::uint32_t> rows) override {
    TrainBatch result;
    std::vector<float> answer(model_.width());
    first_values_.clear();
    for (const std::uint32_t row : rows) {
      first_values_.push_back(first_value(samples, row));
      compute(of_sample(samples, row), 1, answer);
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
    if (!std::ranges::all_of(bias_, [](float value) { return std::isfinite(value); }))
      throw not_finite(request_.weights, "bias");
  }

  // The rate falls with every image, so that the weights depend on the order of the images and on the restored step.
  float learning_rate() const {
    return static_cast<float>(request_.learning_rate / (1.0 + static_cast<double>(step_) / 1024));
  }

  // Only for faults at a value: the first values are a whole image apart, so each is a cache miss.
  void look_at(const Samples& samples, std::uint32_t count) {
    if (model_.faults.empty()) return;
    first_values_.resize(count);
    for (std::uint32_t sample = 0; sample < count; ++sample) first_values_[sample] = first_value(samples, sample);
  }

  float first_value(const Samples& samples, std::uint32_t sample) const {
    const TensorLayout& seen = request_.seen();
    return read_value(samples[0] + sample * seen.bytes(), seen.dtype);
  }

  /// The same samples from `sample` on.
  Samples of_sample(const Samples& samples, std::uint32_t sample) const {
    std::array<const std::byte*, kMaxTaken> begins{};
    for (std::size_t t = 0; t < samples.size(); ++t) begins[t] = samples[t] + sample * request_.takes[t].seen.bytes();
    return Samples(std::span(begins).first(samples.size()));
  }

  void compute(const Samples& samples, std::uint32_t count, std::span<float> output) {
    if (model_.delay_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(model_.delay_us));
    const TensorLayout& seen = request_.seen();
    const std::byte* first = samples[0];
    if (request_.copy_input) {
      copy_.assign(first, first + count * seen.bytes());
      first = copy_.data();
    }
    // The cast is the scripted fault: such a model changes its input.
    for (std::size_t i = 0; model_.writes_input && count > 0 && i < size_of(seen.dtype); ++i)
      *const_cast<volatile std::byte*>(first + i) = std::byte{0};
    for (std::uint32_t sample = 0; sample < count; ++sample) {
      const std::span row = output.subspan(std::size_t{sample} * model_.width(), model_.width());
      const std::size_t per_class = row.size() / model_.classes;
      if (per_class == 1)
        std::ranges::copy(bias_, row.begin());
      else
        for (std::size_t c = 0; c < bias_.size(); ++c) std::fill_n(row.begin() + c * per_class, per_class, bias_[c]);
      if (model_.reads_input) add_sample(first + sample * seen.bytes(), seen, row);
      for (std::size_t t = 1; model_.reads_input && t < samples.size(); ++t)
        add_sample(samples[t] + sample * request_.takes[t].seen.bytes(), request_.takes[t].seen, row);
      if (request_.output != OutputKind::logits || request_.over != OutputKind::probabilities) continue;
      if (request_.activation == Activation::sigmoid)
        sigmoid(row);
      else
        softmax(row, model_.classes, per_class);
    }
  }

  /// Adds the values of one tensor of a sample to the row, over and over again.
  static void add_sample(const std::byte* begin, const TensorLayout& layout, std::span<float> row) {
    const std::uint64_t elements = layout.elements();
    if (layout.dtype == Dtype::float32) {
      const auto* const values = reinterpret_cast<const float*>(begin);
      for (std::size_t i = 0; i < elements; ++i) row[i % row.size()] += values[i];
      return;
    }
    for (std::size_t i = 0; i < elements; ++i)
      row[i % row.size()] += read_value(begin + i * size_of(layout.dtype), layout.dtype);
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
      case FaultKind::leak:
        leak();
        return;
      case FaultKind::nonsense:
        spoil_next_index();
        return;
    }
  }

  /// 256 MB that are never freed, with something in each page.
  static void leak() {
    constexpr std::size_t kBytes = 256'000'000;
    constexpr std::size_t kPage = 4096;
    auto* const memory = static_cast<volatile std::byte*>(std::malloc(kBytes));
    if (memory == nullptr) throw std::bad_alloc();
    for (std::size_t at = 0; at < kBytes; at += kPage) memory[at] = std::byte{1};
  }

  MemberRequest request_;
  FakeModel model_;
  std::vector<float> bias_;
  std::vector<float> probed_;
  std::vector<std::byte> copy_;
  std::vector<float> first_values_;         // of the images of the current batch
  std::int64_t step_ = 0;                   // images trained on since training started
  std::array<std::uint64_t, 4> batches_{};  // per phase
};

}  // namespace

std::unique_ptr<Model> make_fake_model(const MemberRequest& request) { return std::make_unique<Fake>(request); }

}  // namespace tutti::worker
