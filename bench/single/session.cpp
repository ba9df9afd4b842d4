#include "bench/single/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include <tutti/error.hpp>

#include "bench/single/torch/multiply.hpp"
#include "common/clock.hpp"
#include "worker/failure.hpp"

namespace tutti::bench {
namespace {

using Clock = std::chrono::steady_clock;

void check_size(const MemoryFile& file, std::uint64_t needed, std::string_view what, std::string_view layout) {
  if (file.size() < needed)
    throw Error(ErrorKind::failed, fmt::format("the file of the {} is too small", what),
                fmt::format("{} bytes, {} are needed for {}", file.size(), needed, layout));
}

}  // namespace

Session::Session(MemoryFile images, MemoryFile answers)
    : images_file_(std::move(images)), answers_file_(std::move(answers)) {}

std::string Session::answer(std::string_view question) {
  try {
    return json::serialize(obey(parse_json(question, "a request to tutti-bench-single")));
  } catch (const std::exception& error) {
    const control::Failure failure = worker::failure_of(error);
    return json::serialize(json::object{{"failed", {{"text", failure.text}, {"hint", failure.hint}}}});
  }
}

json::object Session::obey(const json::value& question) {
  const json::object* const object = question.if_object();
  if (object != nullptr && object->size() == 1) {
    const auto& [key, content] = *object->begin();
    if (key == "prepare") return prepare(content);
    if (key == "multiply") return multiply(content);
    if (key != "run" && key != "train")
      throw Error(ErrorKind::failed, fmt::format("unknown request '{}'", std::string_view(key)));
    if (computation_ == nullptr) throw Error(ErrorKind::failed, "nothing is prepared yet");
    return key == "run" ? run() : train(content);
  }
  throw Error(ErrorKind::failed, "a request must be an object with one field");
}

json::object Session::multiply(const json::value& content) {
  const json::object* const object = content.if_object();
  const json::value* const seconds = object == nullptr ? nullptr : object->if_contains("seconds");
  if (seconds == nullptr || !seconds->is_number())
    throw Error(ErrorKind::failed, "'multiply' needs its seconds, a number");
  return {{"multiplied", {{"gflops", multiply_matrices(seconds->to_number<double>())}}}};
}

json::object Session::prepare(const json::value& content) {
  if (computation_ != nullptr)
    throw Error(ErrorKind::failed, "a strategy is already prepared", "a process holds one strategy");
  job_ = decode_job(json::serialize(content));
  if (job_.combine.rule == CombineRule::none)
    throw Error(ErrorKind::failed, "the rule 'none' combines nothing, so there are no predictions to compare");
  map_images(job_);
  const auto begin = Clock::now();
  std::unique_ptr<Computation> computation = make_computation(job_);
  const double seconds = seconds_since(begin);
  map_answers(computation->width());
  member_answers_.assign(job_.members.size(), std::vector<float>(job_.images * computation->width()));
  computation_ = std::move(computation);
  return {{"ready", {{"seconds", seconds}, {"backend", backend_of(job_)}}}};
}

void Session::map_images(const SingleJob& job) {
  const ImageShape shape = shape_in_memory(job.members.front());
  const Dtype type = job.members.front().takes.front().stored.dtype;
  const std::uint64_t pixel_bytes = labels_offset(job.images, shape, type);
  check_size(images_file_, pixel_bytes + job.images * sizeof(std::int64_t), "images",
             fmt::format("{} images of {} and their labels", job.images, shape.text()));
  images_ = Mapping(images_file_, Access::read_only, "the images");
  // After an odd number of values they do not have the alignment of int64.
  labels_.resize(job.images);
  std::memcpy(labels_.data(), images_.data() + pixel_bytes, job.images * sizeof(std::int64_t));
  input_ = {{}, labels_, job.images, job.segment_images};
  input_.all.dtype = type;
  input_.all.bytes = {images_.data(), job.images * shape.layout(type).bytes()};
}

// The caller need not know the width: an empty file gets its size here.
void Session::map_answers(std::uint32_t width) {
  const std::uint64_t bytes = job_.images * width * sizeof(float);
  if (answers_file_.size() == 0) answers_file_.allocate(bytes, "the answers");
  check_size(answers_file_, bytes, "answers", fmt::format("{} images with {} values each", job_.images, width));
  answers_ = Mapping(answers_file_, Access::read_write, "the answers");
}

json::object Session::run() {
  const auto begin = Clock::now();
  const std::vector<double> member_seconds = computation_->predict(input_, member_answers_);
  check_finite(job_);
  // Like the coordinator with each finished segment.
  const Accumulator accumulator(job_.combine, job_.weights);
  const std::uint32_t width = computation_->width();
  auto* const combined = reinterpret_cast<float*>(answers_.data());
  for_each_segment(input_, [&](const Run& segment) {
    std::vector<std::span<const float>> members;
    for (const auto& all : member_answers_)
      members.push_back(std::span(all).subspan(segment.first * width, std::size_t{segment.count} * width));
    const Accumulator::Result result = accumulator.combine(members, segment.count, width);
    std::ranges::copy(result.values, combined + segment.first * width);
  });
  return {{"ran",
           {{"seconds", seconds_since(begin)},
            {"member_seconds", json::array(member_seconds.begin(), member_seconds.end())}}}};
}

// A worker also checks its predictions, all of them without a branch, since nearly always all values are finite.
void Session::check_finite(const SingleJob& job) const {
  const auto not_finite = [](float value) { return !std::isfinite(value); };
  for (std::size_t m = 0; m < member_answers_.size(); ++m) {
    const std::vector<float>& answers = member_answers_[m];
    if (std::ranges::count_if(answers, not_finite) == 0) continue;
    throw Error(
        ErrorKind::failed, fmt::format("'{}' predicts NaN or infinity", job.members[m].name),
        fmt::format("image {}", (std::ranges::find_if(answers, not_finite) - answers.begin()) / computation_->width()));
  }
}

json::object Session::train(const json::value& content) {
  json::error_code code;
  const json::object* const object = content.if_object();
  const json::value* const epochs = object == nullptr ? nullptr : object->if_contains("epochs");
  const auto count = epochs == nullptr ? 0U : epochs->to_number<std::uint32_t>(code);
  if (code || count == 0) throw Error(ErrorKind::failed, "'train' needs 'epochs', 1 or more");
  const auto begin = Clock::now();
  computation_->train(input_, count);
  return {{"trained", {{"seconds", seconds_since(begin)}}}};
}

}  // namespace tutti::bench
