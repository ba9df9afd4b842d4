#include "coordinator/plan/memory_bounds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "common/bytes_text.hpp"
#include "common/counted.hpp"
#include "common/resample.hpp"
#include "common/tensor_text.hpp"
#include "common/wire/channel.hpp"
#include "coordinator/decide/spread.hpp"
#include "coordinator/observe/trace.hpp"
#include "coordinator/plan/model_bounds.hpp"

namespace tutti {
namespace {

// Measured (docs/decisions/0003): private memory of a worker after warm-up, with LibTorch and a small model.
constexpr std::uint64_t kTorchWorkerBytes = 110ULL << 20;
constexpr std::uint64_t kPlainWorkerBytes = 3ULL << 20;
constexpr std::uint64_t kForkedWorkerBytes = 40ULL << 20;
constexpr std::uint64_t kForkServerBytes = 100ULL << 20;
// Measured with ONNX Runtime 1.32: 22 MB of each of four workers, with what small networks compute with.
constexpr std::uint64_t kOnnxWorkerBytes = 20ULL << 20;
// Measured with OpenVINO 2026.4: 30 MB of each of four such workers.
constexpr std::uint64_t kOpenvinoWorkerBytes = 28ULL << 20;
// Measured with CPython 3.11 and NumPy 2.4, 21 MiB of each of two workers: a factory's libraries come on top.
constexpr std::uint64_t kPythonWorkerBytes = 20ULL << 20;
// One image of 12 million pixels, its file, and what resizing it for one plane takes.
constexpr std::uint64_t kDecodingBytes = 45ULL << 20;
constexpr ImageShape kDecodedImage{3, 3000, 4000};

std::uint64_t process_bytes(Library library, bool forked) {
  switch (library) {
    case Library::none:
      break;
    case Library::torch:
      return forked ? kForkedWorkerBytes : kTorchWorkerBytes;
    case Library::onnxruntime:
      return kOnnxWorkerBytes;
    case Library::openvino:
      return kOpenvinoWorkerBytes;
    case Library::python:
      return kPythonWorkerBytes;
  }
  return kPlainWorkerBytes;
}

// What models that only tell their width once loaded are assumed to predict for each place of a tile.
constexpr std::uint64_t kAssumedClasses = 2;

/// Of one thread: more with every further plane, and with a copy if pictures are turned.
std::uint64_t decoding_bytes(const Plan& plan) {
  std::uint64_t bytes = kDecodingBytes + (plan.turns_pictures ? kDecodedImage.elements() : 0);
  for (std::size_t p = 1; p < plan.input.planes.size(); ++p)
    bytes += Resampler::buffer_bytes(plan.input.planes[p].resize, kDecodedImage);
  return bytes;
}

/// "3x224x224 as bytes", "3x32x32", "16 of int64".
std::string array_text(const TensorLayout& array) {
  if (array.dims.empty() || (array.dtype != Dtype::uint8 && array.dtype != Dtype::float32)) return layout_text(array);
  return fmt::format("{}{}", dims_text(array.dims), array.dtype == Dtype::uint8 ? " as bytes" : "");
}

/// "3x224x224 as bytes and 3x64x64 as bytes".
std::string arrays_text(const ArenaLayout& arena) {
  std::vector<std::string> texts;
  for (const TensorLayout& array : arena.arrays) texts.push_back(array_text(array));
  return and_list(texts);
}

class Sum {
 public:
  Sum(const Plan& plan, bool traced) : plan_(plan), traced_(traced) {}

  std::vector<Bound> make() {
    const std::uint64_t segment = plan_.arena.slot_bytes();
    bounds_.push_back(
        {fmt::format("arena: {} x {} (segment of {} {}, labels, numbers)", counted(plan_.arena.slots, "slot"),
                     bytes_text(segment), counted(plan_.arena.images, "image"), arrays_text(plan_.arena)),
         plan_.arena.bytes()});
    if (plan_.decode_threads != 0) {
      const std::uint64_t decoding = decoding_bytes(plan_);
      bounds_.push_back({fmt::format("decoding: {} x {} (estimate: images of 12 million pixels)",
                                     counted(plan_.decode_threads, "thread"), bytes_text(decoding)),
                         plan_.decode_threads * decoding});
    }
    if (plan_.input.band_places > 0) add_blending();
    if (plan_.combine.spread && !plan_.training) add_spread();
    if (plan_.training && plan_.input.images)
      bounds_.push_back(
          {fmt::format("order of {} for training", counted(*plan_.input.images, "image")), *plan_.input.images * 8});
    if (!plan_.training && plan_.input.images) {
      const std::uint64_t segments = (*plan_.input.images + plan_.arena.images - 1) / plan_.arena.images;
      bounds_.push_back({fmt::format("index of the journal of a run: {} x {}", counted(segments, "segment"),
                                     bytes_text(kJournalSegmentBytes)),
                         segments * kJournalSegmentBytes});
    }
    if (!plan_.training && plan_.input.held_score_bytes > 0)
      bounds_.push_back(
          {"scores of several labels, which their average precision needs all at once", plan_.input.held_score_bytes});
    if (plan_.first_forked() != nullptr)
      bounds_.push_back(
          {"fork server: LibTorch, shared by the workers that are forked from it (estimate)", kForkServerBytes});
    if (traced_)
      bounds_.push_back({fmt::format("trace: up to {} events x {}", TraceRecorder::kMaxEvents,
                                     bytes_text(TraceRecorder::kEventBytes)),
                         TraceRecorder::kMaxEvents * TraceRecorder::kEventBytes});
    for (const WorkerPlan& worker : plan_.workers) add_worker(worker);
    return std::move(bounds_);
  }

  std::vector<Bound> make_for(const WorkerPlan& worker) {
    add_worker(worker);
    return std::move(bounds_);
  }

  /// Spares, and channels for a death, are only there once the old version has left its own.
  std::vector<Bound> make_for_new_version(Rank rank) {
    const std::vector<Rank> chain = plan_.chains().chain_of(rank);
    for (const WorkerPlan& worker : plan_.workers) {
      if (std::ranges::find_first_of(worker.members, chain) == worker.members.end()) continue;
      add_channel(worker);
      add_process(worker, "", true);
    }
    return std::move(bounds_);
  }

 private:
  void add_worker(const WorkerPlan& worker) {
    const std::uint64_t channel = add_channel(worker);
    // The outputs of a worker that died are read from its channel while its replacement already has another channel.
    if (plan_.failure.on_worker_failure != OnWorkerFailure::fail)
      bounds_.push_back({fmt::format("channel of a replacement of {}, in addition to that of the worker that died",
                                     plan_.name_of(worker)),
                         channel});
    add_process(worker, "", true);
    if (plan_.failure.spares != Spares::none) add_process(worker, "spare ", plan_.failure.spares == Spares::member);
  }

  /// results/blending.hpp: sums of the predictions, and of the weights, where later tiles still add to them.
  void add_blending() {
    const std::uint64_t width = told_width(plan_.members.front().request);
    const std::uint64_t classes = width == 0 ? kAssumedClasses : std::max<std::uint64_t>(1, width / places_of_tile());
    const std::uint64_t blended = plan_.saves_members || plan_.scores_tiles ? plan_.combined() + 1 : 1;
    const std::uint64_t places = plan_.input.band_places;
    const bool entropy = spread_of(plan_.combine) == Spread::entropy;
    const std::uint64_t spread = !plan_.combine.spread ? 0 : entropy ? 1 : classes;
    bounds_.push_back(
        {fmt::format("blending of tiles: a band of {} x {}{}{}{}", counted(places, "place"), counted(classes, "value"),
                     width == 0 ? " (assumed)" : "", blended > 1 ? fmt::format(", {} times", blended) : "",
                     spread > 0 ? ", and their spread" : ""),
         places * (classes * blended + spread + 1) * sizeof(float)});
  }

  /// The members' spread over one segment. An entropy has fewer numbers, but how many only the models tell.
  void add_spread() {
    const MemberRequest& first = plan_.members.front().request;
    const std::uint64_t values = values_of(first);
    bounds_.push_back({fmt::format("spread of the members: {} x {}{}", counted(plan_.arena.images, "image"),
                                   counted(values, "value"), known_width(first) ? "" : " (assumed)"),
                       plan_.arena.images * values * sizeof(float)});
  }

  static bool known_width(const MemberRequest& member) { return told_width(member) != 0; }
  static std::uint64_t told_width(const MemberRequest& member) {
    if (member.saved) return member.saved->width();
    const auto prediction = dims_behind(member.steps, facts_of(member.model).prediction());
    return prediction ? elements_of(*prediction) : handed_on(member.model);
  }

  /// Of a prediction, as far as the description tells.
  std::uint64_t values_of(const MemberRequest& member) const {
    if (known_width(member)) return told_width(member);
    return plan_.input.band_places > 0 ? kAssumedClasses * places_of_tile() : kAssumedWidth;
  }

  /// The first axis of a tile has its channels.
  std::uint64_t places_of_tile() const {
    const TensorLayout& tile = plan_.arena.arrays.front();
    return tile.elements() / tile.dims.front();
  }

  /// Returns its bytes.
  std::uint64_t add_channel(const WorkerPlan& worker) {
    std::vector<std::uint32_t> widths;
    std::vector<std::uint32_t> rows;
    std::optional<std::uint64_t> assumed;
    for (const Rank rank : worker.members) {
      rows.push_back(plan_.members[rank.value()].rows());
      const MemberRequest& member = plan_.request_of(rank);
      widths.push_back(static_cast<std::uint32_t>(values_of(member)));
      if (!known_width(member)) assumed = values_of(member);
    }
    const ChannelLayout channel(plan_.arena.slots, plan_.arena.images, widths, rows);
    const std::uint32_t most = *std::ranges::max_element(rows);
    bounds_.push_back(
        {fmt::format("channel of {}: rings, {} output slots x {}{}{}", plan_.name_of(worker), channel.slots(),
                     bytes_text(channel.output_slot_bytes()),
                     most > 0 ? fmt::format(" of up to {} for each image", counted(most, "row")) : "",
                     assumed ? fmt::format(" (assuming {} values per {})", *assumed, most > 0 ? "row" : "image") : ""),
         channel.bytes()});
    return channel.bytes();
  }

  /// A spare gets its channel only when it replaces a worker that died.
  void add_process(const WorkerPlan& worker, std::string_view spare, bool with_models) {
    if (with_models)
      for (const Rank rank : worker.members)
        std::ranges::move(model_bounds(plan_, plan_.members[rank.value()], spare), std::back_inserter(bounds_));
    std::uint64_t bytes = 0;
    for (const Library library : plan_.libraries_of(worker)) bytes += process_bytes(library, worker.forked);
    bounds_.push_back({fmt::format("{}process of {} (estimate, without its model{})", spare, plan_.name_of(worker),
                                   worker.members.size() == 1 ? "" : "s"),
                       bytes});
  }

  const Plan& plan_;
  const bool traced_;
  std::vector<Bound> bounds_;
};

std::uint64_t sum_of(const std::vector<Bound>& bounds) {
  std::uint64_t sum = 0;
  for (const Bound& bound : bounds) sum += bound.bytes;
  return sum;
}

void check_bounds(const std::string& message, const std::vector<Bound>& bounds, const AvailableMemory& available,
                  const char* hint) {
  const std::uint64_t needed = sum_of(bounds);
  if (needed <= available.bytes) return;
  std::string terms;
  for (const Bound& bound : bounds) terms += fmt::format("\n    {:>10}  {}", bytes_text(bound.bytes), bound.name);
  throw Error(ErrorKind::failed, message,
              fmt::format("needed at least {}, available {} ({}):{}", bytes_text(needed), bytes_text(available.bytes),
                          available.limited_by, terms),
              hint);
}

}  // namespace

std::vector<Bound> memory_bounds(const Plan& plan, bool traced) { return Sum(plan, traced).make(); }

std::uint64_t Plan::needed_bytes() const { return sum_of(bounds); }

void check_memory(const Plan& plan) {
  check_bounds("the ensemble does not fit into memory", plan.bounds, plan.available,
               "lower 'slots' or 'segment_images', use fewer members, or raise the memory limit");
}

void check_memory(const Plan& plan, const WorkerPlan& added) {
  check_bounds(fmt::format("{} cannot be added: it does not fit into memory", plan.name_of(added)),
               Sum(plan, false).make_for(added), plan.available,
               "use a smaller model, remove a member before, or raise the memory limit");
}

void check_memory(const Plan& plan, Rank replaced) {
  check_bounds(fmt::format("the new version of {} cannot take over: both do not fit into memory",
                           plan.members[replaced.value()].member()),
               Sum(plan, false).make_for_new_version(replaced), plan.available,
               "use a smaller model, close the ensemble and make a new one, or raise the memory limit");
}

}  // namespace tutti
