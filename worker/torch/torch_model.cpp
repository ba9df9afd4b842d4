#include "worker/torch/torch_model.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include <utility>

#include <tutti/error.hpp>

#include "common/class_sums.hpp"
#include "common/counted.hpp"
#include "worker/answers.hpp"
#include "worker/torch/torch_errors.hpp"

namespace tutti::worker {
namespace {

at::ScalarType scalar_type_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::float32:
      return at::kFloat;
    case Dtype::float16:
      return at::kHalf;
    case Dtype::bfloat16:
      return at::kBFloat16;
    case Dtype::int32:
      return at::kInt;
    case Dtype::int64:
      return at::kLong;
    case Dtype::boolean:
      return at::kBool;
    case Dtype::uint8:
      break;
  }
  return at::kByte;
}

bool consecutive(std::span<const std::uint32_t> rows) {
  for (std::size_t i = 1; i < rows.size(); ++i)
    if (rows[i] != rows[0] + i) return false;
  return true;
}

}  // namespace

TorchModel::TorchModel(const MemberRequest& request, std::optional<Dims> output)
    : request_(request),
      device_(request.cuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU)),
      activates_(needs_activation(request)) {
  if (output) outputs_.emplace(request.seen().dims, std::move(*output));
}

std::vector<std::string> TorchModel::notes() const {
  std::vector<std::string> all = notes_;
  std::vector<std::string> slices;
  std::uint64_t first = 0;
  for (const NamedLayout& part : parts_) {
    slices.push_back(fmt::format("{} ({}) from value {}", part.name, dims_text(part.layout.dims), first));
    first += part.layout.elements();
  }
  if (!slices.empty()) all.push_back(fmt::format("it joins outputs into one row: {}", fmt::join(slices, ", ")));
  return all;
}

std::optional<Dims> TorchModel::known_output() const {
  const auto found = outputs_.find(request_.seen().dims);
  return found == outputs_.end() ? std::nullopt : std::optional(found->second);
}

void TorchModel::predict(const Samples& samples, std::uint32_t count, std::span<float> output) {
  const c10::InferenceMode guard;
  const at::Tensor answers = infer(samples, count, /*warms_up=*/false);
  assert(output.size() == static_cast<std::size_t>(answers.numel()));
  std::memcpy(output.data(), answers.const_data_ptr<float>(), output.size_bytes());
}

std::span<const float> TorchModel::probe(const Samples& samples, std::uint32_t count) {
  const c10::InferenceMode guard;
  probed_ = infer(samples, count, /*warms_up=*/true);
  return {probed_.const_data_ptr<float>(), static_cast<std::size_t>(probed_.numel())};
}

at::Tensor TorchModel::view(const std::byte* begin, const TensorLayout& layout, std::int64_t count) const {
  std::vector<std::int64_t> sizes{count};
  sizes.insert(sizes.end(), layout.dims.begin(), layout.dims.end());
  // from_blob does not take const memory; a write to the tensor hits read-only memory.
  return at::from_blob(const_cast<std::byte*>(begin), sizes, scalar_type_of(layout.dtype));
}

at::Tensor TorchModel::pick(const Samples& samples, std::span<const std::uint32_t> rows) const {
  const TensorLayout& seen = request_.seen();
  const auto count = static_cast<std::int64_t>(rows.size());
  if (consecutive(rows)) return view(samples[0] + rows[0] * seen.bytes(), seen, count).to(device_);
  at::Tensor index = at::empty({count}, at::kLong);
  std::copy(rows.begin(), rows.end(), index.mutable_data_ptr<std::int64_t>());
  const auto end = std::int64_t{*std::max_element(rows.begin(), rows.end())} + 1;
  return view(samples[0], seen, end).index_select(0, index).to(device_);
}

// [count, ...], float32, contiguous, on the CPU.
at::Tensor TorchModel::infer(const Samples& samples, std::uint32_t count, bool warms_up) {
  const std::string failed = fmt::format("the model failed on a batch of {}", counted(count, "image"));
  // A model that fails on the first images fails on all: it takes other ones, or is broken.
  const ErrorKind kind = warms_up ? ErrorKind::usage : ErrorKind::failed;
  const auto hint = [&](const std::string& reason) { return warms_up ? hint_for(reason, count) : std::string(); };
  return explained(kind, failed, hint, [&] {
    std::vector<at::Tensor> batch;
    for (std::size_t t = 0; t < samples.size(); ++t) {
      at::Tensor tensor = view(samples[t], request_.takes[t].seen, count);
      if (!device_.is_cpu())
        tensor = tensor.to(device_);
      else if (request_.copy_input)
        tensor = tensor.clone();
      batch.push_back(std::move(tensor));
    }
    at::Tensor answers = answer(batch);
    check(answers, count);
    answers = as_float(answers);
    if (warms_up) note_probabilities(answers);
    if (activates_)
      answers = request_.activation == Activation::sigmoid ? at::sigmoid(answers) : at::softmax(answers, request_.axis);
    if (warms_up) check_sums(answers);
    // The copy from a device waits until the device has computed.
    return answers.to(at::kCPU).contiguous();
  });
}

/// What to do about a model that cannot take the samples.
std::string TorchModel::hint_for(const std::string& reason, std::uint32_t count) const {
  std::string hint = misfit_hint(reason, count);
  for (const TakenTensor& taken : request_.takes)
    if (hint.empty()) hint = layout_hint(taken.seen.dims);
  if (!hint.empty()) return hint;
  return fmt::format(
      "the images are {}; if the model takes others, resize them: input.resize=32, or 'input' of the member",
      taken_text(request_));
}

/// A second softmax leaves the classes almost alike. Logits are hardly ever between 0 and 1 with a sum of 1.
void TorchModel::note_probabilities(const at::Tensor& answer) {
  constexpr double kTolerance = 1e-3;
  if (probabilities_ || !activates_ || !decides(request_)) return;
  const bool within = answer.min().item<float>() >= 0 && answer.max().item<float>() <= 1;
  if (!within || !(answer.sum(request_.axis).sub(1).abs().max().item<float>() <= kTolerance)) return;
  probabilities_ = true;
  add_note(std::string(kSecondSoftmax));
}

/// Probabilities of which one is right sum to 1. What sums to something else is likely to be something else, or several
/// labels, each with a probability of its own.
void TorchModel::check_sums(const at::Tensor& answer) const {
  if (request_.over != OutputKind::probabilities || !decides(request_)) return;
  const at::Tensor sums = answer.to(at::kCPU).sum(request_.axis);
  const at::Tensor farthest = sums.sub(1).abs().max().to(at::kDouble);
  if (!(farthest.item<double>() > kSumTolerance)) return;  // NaN is judged when samples are predicted
  throw no_probabilities(request_.axis, sums.min().item<double>(), sums.max().item<double>());
}

at::Tensor TorchModel::as_float(const at::Tensor& answer) {
  if (answer.scalar_type() == at::kFloat) return answer;
  if (!std::exchange(converts_, true))
    add_note(fmt::format("its outputs are {}, and are converted to float32", c10::toString(answer.scalar_type())));
  return answer.to(at::kFloat);
}

void TorchModel::check(const at::Tensor& answer, std::uint32_t count) {
  const std::string type = c10::toString(answer.scalar_type());
  const auto before = known_output();
  Dims output =
      sizes_of({answer.sizes(), type, answer.is_floating_point()}, request_, count, before ? &*before : nullptr);
  outputs_.try_emplace(request_.seen().dims, std::move(output));
}

}  // namespace tutti::worker
