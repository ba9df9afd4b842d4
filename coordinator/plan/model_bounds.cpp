#include "coordinator/plan/model_bounds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <variant>

#include "common/counted.hpp"
#include "common/resample.hpp"
#include "common/tensor_text.hpp"
#include "common/wire/rows.hpp"
#include "config/shards.hpp"
#include "merge/checkpoint.hpp"
#include "merge/clip_config.hpp"
#include "merge/clip_layers.hpp"

namespace tutti {
namespace {

// How often such a library has the weights of a network in memory, in halves. Measured with 535 MB of them, ONNX
// Runtime 1.32 and OpenVINO 2026.4; a tower of 351 MB took at most 731 MB in the latter, its start included, with
// batches of 4. ONNX Runtime gives all but one back when it has loaded them.
constexpr std::uint64_t kOnnxHalves = 5;
constexpr std::uint64_t kOpenvinoHalves = 4;

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

/// Of a file or a folder, without what belongs to a text tower. As float32, even if the files hold another type; 0 if
/// they cannot be read, which the worker will report.
std::uint64_t weights_bytes(const std::filesystem::path& path) {
  try {
    const auto weights = merge::Checkpoint::open(path);
    std::uint64_t values = 0;
    for (const std::string& name : weights.names())
      if (!name.starts_with("text_")) values += weights.form(name).bytes * 8 / merge::bits_of(weights.form(name).dtype);
    return values * sizeof(float);
  } catch (const Error&) {
    return 0;
  }
}

std::uint64_t tower_bytes(const MemberRequest& request) {
  return weights_bytes(request.weights.empty() ? *folder_of(request.model) : request.weights);
}

/// Of the layers that a part of a network has, as float32; 0 if the files that tell it cannot be read.
struct PartBytes {
  const MemberRequest& request;

  std::uint64_t operator()(const ClipVitModel& model) const {
    try {
      const auto layers = static_cast<std::size_t>(merge::read_clip_config(model.path).layers);
      const auto weights = merge::Checkpoint::open(request.weights.empty() ? model.path : request.weights);
      const std::vector<std::uint64_t> bytes =
          merge::tower_layer_bytes(weights, layers, model.output == ClipOutput::projected);
      std::uint64_t sum = 0;
      for (std::size_t layer = model.part.from; layer < end_of(model.part, layers); ++layer) sum += bytes[layer];
      return sum;
    } catch (const Error&) {
      return 0;
    }
  }
  std::uint64_t operator()(const auto&) const {
    return parameters_of(request.model, request.seen().elements()).value_or(0) * sizeof(float);
  }
};

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

/// What crop_boxes takes besides boxes and rows: a part of a picture, which may be all of it, and what resizing it
/// takes.
std::uint64_t cropping_bytes(const CropBoxesStep& step, const MemberRequest& request) {
  const TensorLayout& picture = request.picture ? request.picture->seen : request.seen();
  const auto shape = image_shape(picture);
  return shape ? picture.bytes() + Resampler::buffer_bytes(step.resize, *shape) : 0;
}

/// Memory of worker/steps.hpp: alternately in two places, the predictions before each step that is not in place. Behind
/// crop_boxes there may be several rows for each sample; those before reduce are a term of their own, and what it makes
/// of them is of a segment instead of a batch.
std::uint64_t steps_bytes(const MemberRequest& request, std::uint64_t batch, std::uint64_t segment) {
  std::optional<Dims> dims = facts_of(request.model).prediction();
  std::array<std::uint64_t, 2> places{};
  std::uint64_t resizing = 0;
  std::uint64_t rows = batch;
  std::size_t moves = 0;
  for (const Step& step : request.steps) {
    if (!is_in_place(step) && !std::holds_alternative<ReduceStep>(step)) {
      std::uint64_t& place = places[moves++ % 2];
      place = std::max<std::uint64_t>(place, rows * (dims ? elements_of(*dims) : kAssumedWidth));
      if (const auto* crops = std::get_if<CropBoxesStep>(&step)) {
        resizing += cropping_bytes(*crops, request);
        rows = batch * crops->max;
      }
      if (const auto* resize = std::get_if<ResizeStep>(&step); resize != nullptr && dims)
        resizing += Resampler::buffer_bytes(resize->resize, image_shape({Dtype::float32, *dims}).value());
    }
    if (std::holds_alternative<ReduceStep>(step)) rows = segment;
    dims = dims_behind(std::span(&step, 1), dims);
  }
  return (places[0] + places[1]) * sizeof(float) + resizing;
}

class ModelTerms {
 public:
  ModelTerms(const Plan& plan, const MemberPlan& member, std::string_view whose)
      : plan_(plan), member_(member), whose_(whose) {}

  std::vector<Bound> make() {
    const MemberRequest& request = member_.request;
    const KindFacts facts = facts_of(request.model);
    const ComputedBy* const by = backend_of(request.model);
    if (by != nullptr && *by != ComputedBy::torch) {
      add_weights_in(*by);
    } else if (const LayerRange* const part = part_of(request.model); part != nullptr && !part->whole()) {
      bounds_.push_back(
          {fmt::format("{}model of {}: the weights of {}", whose_, request.name, config::part_text(request.model)),
           std::visit(PartBytes{request}, request.model)});
    } else if (facts.weights == WeightsFrom::tower) {
      bounds_.push_back({fmt::format("{}model of {}: the weights of its tower as float32", whose_, request.name),
                         tower_bytes(request)});
    } else {
      add_files();
    }
    if (plan_.batches == Batches::to_measure && facts.library == Library::torch && !request.cuda)
      bounds_.push_back({fmt::format("{}batches of up to {} in {} (estimate; 'batch_images')", whose_,
                                     counted(member_.most_batch_images, "image"), request.name),
                         member_.most_batch_images * values_alive_per_image(request) * sizeof(float)});
    add_own_images();
    add_views();
    if (const auto bytes = steps_bytes(request, member_.most_batch_images, plan_.arena.images); bytes > 0)
      bounds_.push_back({fmt::format("{}steps behind {}: the predictions of {} before those that change their size{}",
                                     whose_, request.name, counted(member_.most_batch_images, "sample"),
                                     reduces_rows() ? ", behind reduce of a segment" : ""),
                         bytes});
    add_rows_to_reduce();
    return std::move(bounds_);
  }

 private:
  bool reduces_rows() const { return member_.request.fed_rows > 0 && member_.rows() == 0; }

  /// What the model of a stage that reduces rows makes of all rows of a segment.
  void add_rows_to_reduce() {
    const MemberRequest& request = member_.request;
    if (!reduces_rows()) return;
    const std::size_t before = first_row_step(request.steps);
    const auto row = dims_behind(std::span(request.steps).first(before), facts_of(request.model).prediction());
    const std::uint64_t values = row ? elements_of(*row) : kAssumedWidth;
    const std::uint64_t rows = std::uint64_t{plan_.arena.images} * request.fed_rows;
    bounds_.push_back({fmt::format("{}rows of {} before they are reduced: {} x {}{}", whose_, request.name,
                                   counted(rows, "row"), counted(values, "value"), row ? "" : " (assumed)"),
                       rows * values * sizeof(float)});
  }

  void add_files() {
    const MemberRequest& request = member_.request;
    std::uint64_t all = 0;
    for (const std::filesystem::path& file : model_files(request)) {
      std::error_code missing;  // the worker that opens it reports it
      const auto bytes = std::filesystem::file_size(file, missing);
      if (missing) continue;
      all += bytes;
      bounds_.push_back({fmt::format("{}model of {}: the size of {}", whose_, request.name, file.string()), bytes});
    }
    const auto* const model = std::get_if<OpenVinoModel>(&request.model);
    if (model == nullptr) return;
    const bool twice = model->precision != Precision::f32;
    if (twice)
      bounds_.push_back({fmt::format("{}model of {}: again in f32, to compare {} with while it warms up (estimate)",
                                     whose_, request.name, to_name(model->precision)),
                         all});
    // How large they are is known once they were kept: about as large as the weights.
    if (!model->cache.empty())
      bounds_.push_back({fmt::format("{}model of {}: its compiled form{} from {} (estimate)", whose_, request.name,
                                     twice ? " in both precisions" : "", model->cache),
                         twice ? 2 * all : all});
  }

  /// Of a network that another library computes.
  void add_weights_in(ComputedBy by) {
    const MemberRequest& request = member_.request;
    const KindFacts facts = facts_of(request.model);
    std::uint64_t bytes = 0;
    bool assumed = false;
    if (facts.weights == WeightsFrom::tower) {
      bytes = tower_bytes(request);
    } else if (!request.weights.empty()) {
      bytes = weights_bytes(request.weights);
    } else {
      assumed = facts.takes == Takes::numbers && !knows_what_it_takes();
      const std::uint64_t taken = assumed ? kAssumedWidth : request.seen().elements();
      bytes = parameters_of(request.model, taken).value_or(0) * sizeof(float);
    }
    const bool onnx = by == ComputedBy::onnxruntime;
    bounds_.push_back(
        {fmt::format("{}model of {}: its weights, {} times {} (estimate{})", whose_, request.name, onnx ? "2.5" : "2",
                     onnx ? "while ONNX Runtime loads them" : "in OpenVINO",
                     assumed ? fmt::format(", if {} outputs {} values", request.fed_by, kAssumedWidth) : ""),
         bytes * (onnx ? kOnnxHalves : kOpenvinoHalves) / 2});
  }

  /// Not if the model of the stage before it only tells once it is loaded.
  bool knows_what_it_takes() const {
    if (!member_.fed_by) return true;
    const MemberRequest& feeder = plan_.request_of(*member_.fed_by);
    return dims_behind(feeder.steps, facts_of(feeder.model).prediction()).has_value();
  }

  /// A batch, or in training a segment, as the member sees it.
  void add_own_images() {
    const std::uint64_t images = plan_.training ? plan_.arena.images : member_.most_batch_images;
    for (const TakenTensor& taken : member_.request.takes) add_prepared(taken, images, "images prepared for");
    if (const auto& picture = member_.request.picture) add_prepared(*picture, images, "pictures to crop, prepared for");
  }

  void add_prepared(const TakenTensor& taken, std::uint64_t images, std::string_view what) {
    if (!taken.input) return;
    bounds_.push_back({fmt::format("{}{} {}: {} x {}, and what resizing takes", whose_, what, member_.request.name,
                                   images, dims_text(taken.seen.dims)),
                       images * taken.seen.bytes() + preparation_bytes(taken)});
  }

  /// One view of a batch at a time.
  void add_views() {
    if (member_.request.views.empty()) return;
    const std::uint64_t images = member_.most_batch_images;
    bounds_.push_back(
        {fmt::format("{}views of {}: one view of {}, their predictions, and what resizing takes", whose_,
                     member_.request.name, counted(images, "image")),
         images * largest_view(member_.request) * sizeof(float) + undoing_bytes(member_.request, images)});
  }

  const Plan& plan_;
  const MemberPlan& member_;
  const std::string_view whose_;
  std::vector<Bound> bounds_;
};

}  // namespace

std::uint64_t handed_on(const ModelKind& kind) {
  const auto* const tower = std::get_if<ClipVitModel>(&kind);
  if (tower == nullptr || tower->part.to == 0) return 0;
  try {
    const merge::ClipConfig config = merge::read_clip_config(tower->path);
    return static_cast<std::uint64_t>(config.tokens() * config.hidden);
  } catch (const Error&) {
    return 0;
  }
}

std::vector<Bound> model_bounds(const Plan& plan, const MemberPlan& member, std::string_view whose) {
  return ModelTerms(plan, member, whose).make();
}

}  // namespace tutti
