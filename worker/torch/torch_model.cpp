#include "worker/torch/torch_model.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/softmax.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include <utility>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "worker/torch/torch_errors.hpp"

namespace tutti::worker {
namespace {

// Whether the output needs a softmax.
bool needs_softmax(OutputKind output, OutputKind over) {
  if (output == over) return false;
  if (output == OutputKind::logits && over == OutputKind::probabilities) return true;
  const bool loses = output == OutputKind::probabilities && over == OutputKind::logits;
  throw Error(ErrorKind::usage,
              fmt::format("a model that outputs {} cannot be combined over {}", to_name(output), to_name(over)),
              loses ? "logits cannot be computed from probabilities" : "classes and features are different things",
              fmt::format("set 'combine.over' to {}, or 'output' to what the model really outputs",
                          loses ? "probabilities" : to_name(output)));
}

bool consecutive(std::span<const std::uint32_t> rows) {
  for (std::size_t i = 1; i < rows.size(); ++i)
    if (rows[i] != rows[0] + i) return false;
  return true;
}

}  // namespace

TorchModel::TorchModel(const MemberRequest& request, std::uint32_t width)
    : request_(request),
      device_(request.cuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU)),
      softmax_(needs_softmax(request.output, request.over)),
      width_(width) {}

void TorchModel::predict(const float* images, std::uint32_t count, std::span<float> output) {
  const c10::InferenceMode guard;
  const at::Tensor answers = infer(images, count, /*warms_up=*/false);
  assert(output.size() == static_cast<std::size_t>(answers.numel()));
  std::memcpy(output.data(), answers.const_data_ptr<float>(), output.size_bytes());
}

std::span<const float> TorchModel::probe(const float* images, std::uint32_t count) {
  const c10::InferenceMode guard;
  probed_ = infer(images, count, /*warms_up=*/true);
  return {probed_.const_data_ptr<float>(), static_cast<std::size_t>(probed_.numel())};
}

at::Tensor TorchModel::view(const float* images, std::int64_t count) const {
  // from_blob does not take const memory; a write to the tensor hits read-only memory.
  return at::from_blob(const_cast<float*>(images),
                       {count, request_.shape.channels, request_.shape.height, request_.shape.width}, at::kFloat);
}

at::Tensor TorchModel::pick_images(const float* images, std::span<const std::uint32_t> rows) const {
  const auto count = static_cast<std::int64_t>(rows.size());
  if (consecutive(rows)) return view(images + rows[0] * request_.shape.elements(), count).to(device_);
  at::Tensor index = at::empty({count}, at::kLong);
  std::copy(rows.begin(), rows.end(), index.mutable_data_ptr<std::int64_t>());
  const auto end = std::int64_t{*std::max_element(rows.begin(), rows.end())} + 1;
  return view(images, end).index_select(0, index).to(device_);
}

// [count, width], float32, contiguous, on the CPU.
at::Tensor TorchModel::infer(const float* images, std::uint32_t count, bool warms_up) {
  const std::string failed = fmt::format("the model failed on a batch of {}", counted(count, "image"));
  // A model that fails on the first images fails on all: it takes other ones, or is broken.
  const ErrorKind kind = warms_up ? ErrorKind::usage : ErrorKind::failed;
  const std::string hint =
      warms_up
          ? fmt::format("the images are {}; if the model takes others, set 'input' of this member or of the ensemble",
                        request_.shape.text())
          : "";
  return explained(kind, failed, hint, [&] {
    at::Tensor batch = view(images, count);
    if (!device_.is_cpu())
      batch = batch.to(device_);
    else if (request_.copy_input)
      batch = batch.clone();
    at::Tensor answers = answer(batch);
    check(answers, count);
    answers = as_float(answers);
    if (softmax_) answers = at::softmax(answers, 1);
    // The copy from a device waits until the device has computed.
    return answers.to(at::kCPU).contiguous();
  });
}

at::Tensor TorchModel::as_float(const at::Tensor& answer) {
  if (answer.scalar_type() == at::kFloat) return answer;
  if (!std::exchange(converts_, true))
    add_note(fmt::format("its outputs are {}, and are converted to float32", c10::toString(answer.scalar_type())));
  return answer.to(at::kFloat);
}

void TorchModel::check(const at::Tensor& answer, std::uint32_t count) {
  const auto fail = [&](std::string_view needed, std::string_view hint) {
    throw Error(
        ErrorKind::usage,
        fmt::format("the model outputs a tensor of shape [{}] and type {}", fmt::join(answer.sizes(), ", "),
                    c10::toString(answer.scalar_type())),
        fmt::format("needed for a batch of {} of {}: {}", counted(count, "image"), request_.shape.text(), needed),
        std::string(hint));
  };
  if (answer.dim() != 2 || answer.size(0) != count || answer.size(1) == 0)
    fail(fmt::format("shape [{}, classes or features]", count), "flatten the output in the model: x.flatten(1)");
  if (!answer.is_floating_point())
    fail("type Float", "let the model output scores, such as logits or probabilities, not the numbers of classes");
  if (softmax_ && answer.size(1) == 1)
    fail("two classes or more, for the softmax of a single value is always 1", "let the model output probabilities");
  if (width_ != 0 && answer.size(1) != width_)
    fail(fmt::format("shape [{}, {}], as in the batches before", count, width_), "");
  width_ = static_cast<std::uint32_t>(answer.size(1));
}

}  // namespace tutti::worker
