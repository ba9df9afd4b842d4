#include "coordinator/plan/memory_bounds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <utility>

#include "common/bytes_text.hpp"
#include "common/counted.hpp"
#include "common/resample.hpp"
#include "common/tensor_text.hpp"
#include "common/wire/channel.hpp"
#include "coordinator/decide/spread.hpp"
#include "coordinator/observe/trace.hpp"
#include "merge/checkpoint.hpp"

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

// How often such a library has the weights of a network in memory, in halves. Measured with 535 MB of them, ONNX Runtime
// 1.32 and OpenVINO 2026.4. The first gives all but one back when it has loaded them.
constexpr std::uint64_t kOnnxHalves = 5;
constexpr std::uint64_t kOpenvinoHalves = 4;

// Used for the width of models that only tell it once loaded.
constexpr std::uint32_t kAssumedWidth = 1000;
// Used for what such models predict for each place of a tile.
constexpr std::uint64_t kAssumedClasses = 2;
// How many values an unknown model holds per value of its input.
constexpr std::uint64_t kAssumedGrowth = 32;

/// The files whose bytes a worker holds once its model is loaded.
std::vector<std::filesystem::path> model_files(const MemberRequest& request) {
  if (is_saved(facts_of(request.model))) return {};  // its rows are read when they are needed
  std::vector<std::filesystem::path> files = files_of(request.model, request.weights);
  // Such weights replace those in the model's file.
  const bool replaced = facts_of(request.model).weights == WeightsFrom::module;
  if (!request.weights.empty() && !replaced) files.emplace_back(request.weights);
  std::erase_if(files, [](const std::filesystem::path& file) { return file.filename() == "config.json"; });
  return files;
}

/// As float32, even if the files hold another type; 0 if they cannot be read, which the worker will report.
std::uint64_t tower_bytes(const MemberRequest& request) {
  try {
    const auto weights = merge::Checkpoint::open(request.weights.empty() ? *folder_of(request.model) : request.weights);
    std::uint64_t values = 0;
    for (const std::string& name : weights.names())
      if (!name.starts_with("text_")) values += weights.form(name).bytes / merge::size_of(weights.form(name).dtype);
    return values * sizeof(float);
  } catch (const Error&) {
    return 0;
  }
}

/// The most values that a view shows of an image.
std::uint64_t largest_view(const MemberRequest& request) {
  std::uint64_t largest = 0;
  for (const View& view : request.views)
    largest = std::max<std::uint64_t>(largest, seen_in(view, viewed_images(request)).elements());
  return largest;
}

/// The number of values alive at the same time while a model computes.
std::uint64_t values_alive_per_image(const MemberRequest& request) {
  std::uint64_t seen = largest_view(request);
  for (const TakenTensor& taken : request.takes)
    if (request.views.empty()) seen += taken.seen.elements();
  return values_per_image(request.model, seen).value_or(kAssumedGrowth * seen);
}

/// Memory of worker/preprocess.hpp: the resampler's buffers, and one image between it and the member.
std::uint64_t preparation_bytes(const TakenTensor& taken) {
  if (taken.input->resize == Resize{}) return 0;
  return Resampler::buffer_bytes(taken.input->resize, image_shape(taken.stored).value()) + taken.seen.elements();
}

std::uint32_t width_of(const MemberRequest& request) {
  const std::uint32_t width = facts_of(request.model).width;
  return width == 0 ? kAssumedWidth : width;
}

/// Memory of worker/views.hpp, apart from the view of each image: the predictions of a view as it was seen, which may
/// be larger than the member's, and the resamplers of images and predictions.
std::uint64_t undoing_bytes(const MemberRequest& request, std::uint64_t images) {
  const ImageShape image = viewed_images(request);
  const std::uint64_t places = std::uint64_t{image.height} * image.width;
  std::uint64_t predicted = width_of(request);
  std::uint64_t resampling = 0;
  for (const View& view : request.views) {
    if (view.kind != ViewKind::scale) continue;
    const ImageShape seen = seen_in(view, image);
    predicted = std::max(predicted, width_of(request) * (std::uint64_t{seen.height} * seen.width) / places);
    resampling += Resampler::buffer_bytes(resize_of(view, image), image);
    const Resize back{.rule = ResizeRule::exact, .height = image.height, .width = image.width};
    resampling += Resampler::buffer_bytes(back, {1, seen.height, seen.width});
  }
  return (images * predicted + places) * sizeof(float) + resampling;
}

/// Memory of worker/steps.hpp: alternately in two places, the predictions before each step that is not in place.
std::uint64_t steps_bytes(const MemberRequest& request, std::uint64_t samples) {
  std::optional<Dims> dims = facts_of(request.model).prediction();
  std::array<std::uint64_t, 2> places{};
  std::uint64_t resizing = 0;
  std::size_t moves = 0;
  for (const Step& step : request.steps) {
    if (!is_in_place(step)) {
      std::uint64_t& place = places[moves++ % 2];
      place = std::max<std::uint64_t>(place, dims ? elements_of(*dims) : kAssumedWidth);
      if (const auto* resize = std::get_if<ResizeStep>(&step); resize != nullptr && dims)
        resizing += Resampler::buffer_bytes(resize->resize, image_shape({Dtype::float32, *dims}).value());
    }
    dims = dims_behind(std::span(&step, 1), dims);
  }
  return samples * (places[0] + places[1]) * sizeof(float) + resizing;
}

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

 private:
  void add_worker(const WorkerPlan& worker) {
    add_channels(worker);
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
    return prediction ? elements_of(*prediction) : 0;
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

  /// The outputs of a worker that died are read from its channel while its replacement already has another channel.
  void add_channels(const WorkerPlan& worker) {
    std::vector<std::uint32_t> widths;
    std::optional<std::uint64_t> assumed;
    for (const Rank rank : worker.members) {
      const MemberRequest& member = plan_.request_of(rank);
      widths.push_back(static_cast<std::uint32_t>(values_of(member)));
      if (!known_width(member)) assumed = values_of(member);
    }
    const ChannelLayout channel(plan_.arena.slots, plan_.arena.images, widths);
    const std::string name = plan_.name_of(worker);
    bounds_.push_back({fmt::format("channel of {}: rings, {} output slots x {}{}", name, channel.slots(),
                                   bytes_text(channel.output_slot_bytes()),
                                   assumed ? fmt::format(" (assuming {} values per image)", *assumed) : ""),
                       channel.bytes()});
    if (plan_.failure.on_worker_failure != OnWorkerFailure::fail)
      bounds_.push_back(
          {fmt::format("channel of a replacement of {}, in addition to that of the worker that died", name),
           channel.bytes()});
  }

  /// A spare gets its channel only when it replaces a worker that died.
  void add_process(const WorkerPlan& worker, std::string_view spare, bool with_models) {
    if (with_models)
      for (const Rank rank : worker.members) add_model(plan_.members[rank.value()], spare);
    std::uint64_t bytes = 0;
    for (const Library library : plan_.libraries_of(worker)) bytes += process_bytes(library, worker.forked);
    bounds_.push_back({fmt::format("{}process of {} (estimate, without its model{})", spare, plan_.name_of(worker),
                                   worker.members.size() == 1 ? "" : "s"),
                       bytes});
  }

  void add_model(const MemberPlan& member, std::string_view spare) {
    const MemberRequest& request = member.request;
    const KindFacts facts = facts_of(request.model);
    const ComputedBy* const by = backend_of(request.model);
    if (by != nullptr && *by != ComputedBy::torch) {
      add_weights_in(request, *by, spare);
    } else if (facts.weights == WeightsFrom::tower) {
      bounds_.push_back({fmt::format("{}model of {}: the weights of its tower as float32", spare, request.name),
                         tower_bytes(request)});
    } else {
      add_files(request, spare);
    }
    if (plan_.batches == Batches::to_measure && facts.library == Library::torch && !request.cuda)
      bounds_.push_back({fmt::format("{}batches of up to {} in {} (estimate; 'batch_images')", spare,
                                     counted(member.most_batch_images, "image"), request.name),
                         member.most_batch_images * values_alive_per_image(request) * sizeof(float)});
    add_own_images(member, spare);
    add_views(member, spare);
    if (const std::uint64_t bytes = steps_bytes(request, member.most_batch_images); bytes > 0)
      bounds_.push_back({fmt::format("{}steps behind {}: the predictions of {} before those that change their size",
                                     spare, request.name, counted(member.most_batch_images, "sample")),
                         bytes});
  }

  void add_files(const MemberRequest& request, std::string_view spare) {
    std::uint64_t all = 0;
    for (const std::filesystem::path& file : model_files(request)) {
      std::error_code missing;  // the worker that opens it reports it
      const auto bytes = std::filesystem::file_size(file, missing);
      if (missing) continue;
      all += bytes;
      bounds_.push_back({fmt::format("{}model of {}: the size of {}", spare, request.name, file.string()), bytes});
    }
    const auto* const model = std::get_if<OpenVinoModel>(&request.model);
    if (model == nullptr) return;
    const bool twice = model->precision != Precision::f32;
    if (twice)
      bounds_.push_back({fmt::format("{}model of {}: again in f32, to compare {} with while it warms up (estimate)",
                                     spare, request.name, to_name(model->precision)),
                         all});
    // How large they are is known once they were kept: about as large as the weights.
    if (!model->cache.empty())
      bounds_.push_back({fmt::format("{}model of {}: its compiled form{} from {} (estimate)", spare,
                                     request.name, twice ? " in both precisions" : "", model->cache),
                         twice ? 2 * all : all});
  }

  /// Of a network that another library computes.
  void add_weights_in(const MemberRequest& request, ComputedBy by, std::string_view spare) {
    const bool tower = facts_of(request.model).weights == WeightsFrom::tower;
    const std::uint64_t bytes =
        tower ? tower_bytes(request)
              : parameters_of(request.model, request.seen().elements()).value_or(0) * sizeof(float);
    const bool onnx = by == ComputedBy::onnxruntime;
    bounds_.push_back({fmt::format("{}model of {}: its weights, {} times {} (estimate)", spare, request.name,
                                   onnx ? "2.5" : "2", onnx ? "while ONNX Runtime loads them" : "in OpenVINO"),
                       bytes * (onnx ? kOnnxHalves : kOpenvinoHalves) / 2});
  }

  /// A batch, or in training a segment, as the member sees it.
  void add_own_images(const MemberPlan& member, std::string_view spare) {
    const std::uint64_t images = plan_.training ? plan_.arena.images : member.most_batch_images;
    for (const TakenTensor& taken : member.request.takes)
      if (taken.input)
        bounds_.push_back({fmt::format("{}images prepared for {}: {} x {}, and what resizing takes", spare,
                                       member.request.name, images, dims_text(taken.seen.dims)),
                           images * taken.seen.bytes() + preparation_bytes(taken)});
  }

  /// One view of a batch at a time.
  void add_views(const MemberPlan& member, std::string_view spare) {
    if (member.request.views.empty()) return;
    const std::uint64_t images = member.most_batch_images;
    bounds_.push_back({fmt::format("{}views of {}: one view of {}, their predictions, and what resizing takes", spare,
                                   member.request.name, counted(images, "image")),
                       images * largest_view(member.request) * sizeof(float) + undoing_bytes(member.request, images)});
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

}  // namespace tutti
