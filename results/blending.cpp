#include "results/blending.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <system_error>
#include <utility>

#include "common/log.hpp"
#include "results/input_array.hpp"
#include "results/mask_metrics.hpp"
#include "results/masks.hpp"

namespace tutti::images {
namespace {

/// Places of which the classes are decided at once.
constexpr std::size_t kAtOnce = 65536;

/// 1, or the values that a prediction has for each place of its tile.
std::uint32_t values_per_place(const Dims& output, const Dims& tile) {
  return output.size() == tile.size() ? 1 : output.front();
}

/// The class at each place of `count` places, whose values for one class are `pitch` apart.
void decide(const float* values, std::size_t pitch, std::uint32_t classes, std::span<std::int64_t> decided) {
  for (std::size_t place = 0; place < decided.size(); ++place) {
    std::int64_t best = -1;
    float largest = 0;
    for (std::uint32_t label = 0; label < classes; ++label) {
      const float value = values[label * pitch + place];
      if (std::isnan(value) || (best >= 0 && !(value > largest))) continue;
      best = label;
      largest = value;
    }
    decided[place] = best;
  }
}

}  // namespace

std::vector<float> tile_weights(const Dims& tile, Blend blend) {
  std::vector<float> weights(elements_of(tile), 1.0F);
  if (blend == Blend::mean) return weights;
  std::vector<double> products{1.0};
  for (const std::uint32_t size : tile) {
    const double sigma = size / 8.0;
    const double centre = (size - 1) / 2.0;
    std::vector<double> along(size);
    for (std::uint32_t place = 0; place < size; ++place)
      along[place] = std::exp(-(place - centre) * (place - centre) / (2 * sigma * sigma));
    const double most = *std::ranges::max_element(along);
    std::vector<double> next;
    next.reserve(products.size() * size);
    for (const double before : products)
      for (const double weight : along) next.push_back(before * (weight / most));
    products = std::move(next);
  }
  std::ranges::transform(products, weights.begin(),
                         [](double weight) { return std::max(static_cast<float>(weight), 1e-3F); });
  return weights;
}

void check_tile_output(const std::string& member, const Dims& output, const Dims& tile,
                       std::optional<std::size_t> class_axis) {
  const bool leading = output.size() == tile.size() + 1;
  if ((output.size() == tile.size() || leading) && std::equal(tile.rbegin(), tile.rend(), output.rbegin())) {
    if (!class_axis || (leading && *class_axis == 0)) return;
    throw Error(
        ErrorKind::usage, fmt::format("the classes of {} are not where tiles have them", member),
        fmt::format("its predictions are {}, of tiles of {}", dims_text(output), dims_text(tile)),
        "tiles need predictions of classes x the sizes of the tile ('axis: 1' of 'combine'); for a single value "
        "at each place use 'activation: sigmoid', or combine over values");
  }
  throw Error(ErrorKind::usage, fmt::format("the predictions of {} cannot be put together", member),
              fmt::format("they are {}, and those of tiles of {} must be {}, or classes x {}", dims_text(output),
                          dims_text(tile), dims_text(tile), dims_text(tile)),
              "use models that predict something for each place of their input, or leave 'tiles' out");
}

/// The blended predictions of the ensemble, or of a member: what is done with them.
class BlendingSink::Output {
 public:
  Output(const Dims& output, const Tiling& tiling)
      : values_(values_per_place(output, tiling.tiles().size)), leading_(output.size() > tiling.tiles().size.size()) {}

  void write_into(const std::filesystem::path& base, const Tiling& tiling) {
    array_.emplace(base, NpyType::float32, tiling, leading_, values_);
  }
  void decide_into(const std::filesystem::path& base, const Tiling& tiling) {
    decided_.emplace(base, NpyType::int64, tiling, false, 1);
  }
  /// Gives the sizes of one input's values.
  Dims keep_in(std::vector<float>& values, const Tiling& tiling) {
    array_.emplace(values, tiling, values_);
    Dims sizes = sizes_of_inputs(tiling);
    if (leading_) sizes.insert(sizes.begin(), values_);
    return sizes;
  }
  void decide_in(std::vector<std::int64_t>& classes, const Tiling& tiling) { decided_.emplace(classes, tiling, 1); }
  void draw_into(std::filesystem::path folder) { masks_ = std::move(folder); }
  void compare(std::optional<std::int64_t> ignored) { metrics_.emplace(values_, ignored); }

  const std::optional<MaskMetrics>& metrics() const noexcept { return metrics_; }

  void begin(std::uint64_t input, std::uint64_t inputs, const std::string& name, const TileGrid& grid,
             std::uint64_t band_places) {
    sums_.assign(band_places * values_, 0.0F);
    pitch_ = band_places;
    input_places_ = elements_of(grid.input());
    if (array_) array_->begin(input);
    if (decided_) decided_->begin(input);
    if (masks_)
      mask_.emplace(own_file(*masks_, file_name_of(name, input, inputs), ".png"), grid.input()[0], grid.input()[1]);
  }

  /// Adds neighbouring places of a tile, from place `part` of it on, to those of the band from `whole` on.
  void add(std::uint64_t whole, std::uint64_t part, std::span<const float> weights, std::span<const float> tile) {
    const std::size_t places = tile.size() / values_;
    for (std::uint32_t value = 0; value < values_; ++value) {
      float* const sums = sums_.data() + value * pitch_ + whole;
      const float* const from = tile.data() + value * places + part;
      for (std::size_t i = 0; i < weights.size(); ++i) sums[i] += weights[i] * from[i];
    }
  }

  /// Divides and writes the first places of the band, which are those of the input from `first` on.
  void complete(std::uint64_t first, std::span<const float> weight_sums) {
    const std::size_t count = weight_sums.size();
    for (std::uint32_t value = 0; value < values_; ++value) {
      const std::span finished = std::span(sums_).subspan(value * pitch_, count);
      for (std::size_t i = 0; i < count; ++i) finished[i] /= weight_sums[i];
      if (array_) array_->write<float>(value * input_places_ + first, finished);
    }
  }

  /// Decides at `count` of these places, from place `begin` of the band on, which is place `place` of input `input`;
  /// `truth` has their labels, or is empty.
  void pass_on_classes(std::uint64_t input, std::uint64_t place, std::size_t begin, std::size_t count,
                       std::span<const std::int64_t> truth) {
    if (!decided_ && !metrics_) return;
    classes_.resize(count);
    decide(sums_.data() + begin, pitch_, values_, classes_);
    if (decided_) decided_->write<std::int64_t>(place, classes_);
    if (mask_) write_classes(*mask_, classes_);
    if (metrics_) score(input, truth);
  }

  /// Removes the first places of the band.
  void drop(std::size_t count) {
    for (std::uint32_t value = 0; value < values_; ++value) {
      const std::span band = std::span(sums_).subspan(value * pitch_, pitch_);
      std::ranges::copy(band.subspan(count), band.begin());
      std::ranges::fill(band.last(count), 0.0F);
    }
  }

  void end() {
    if (array_) array_->end();
    if (decided_) decided_->end();
    if (mask_) mask_->finish();
    mask_.reset();
  }
  void finish() {
    if (decided_) decided_->finish();
    if (masks_) sync_masks(*masks_);
    if (array_) array_->finish();
  }
  void finish_partial(std::uint64_t inputs) {
    if (decided_) decided_->finish_partial(inputs);
    if (masks_) sync_masks(*masks_);
    if (array_) array_->finish_partial(inputs);
  }

 private:
  /// Compares the decided classes with labels, except where nothing was predicted.
  void score(std::uint64_t input, std::span<const std::int64_t> truth) {
    std::size_t known = 0;
    labels_.resize(truth.size());
    for (std::size_t i = 0; i < truth.size(); ++i) {
      if (classes_[i] < 0) continue;
      classes_[known] = classes_[i];
      labels_[known++] = truth[i];
    }
    metrics_->add(std::span(labels_).first(known), std::span(classes_).first(known), input);
  }

  std::uint32_t values_;  ///< at each place
  bool leading_;          ///< they have an axis
  std::optional<InputArray> array_;
  std::optional<InputArray> decided_;
  std::optional<std::filesystem::path> masks_;  ///< the folder
  std::optional<PalettePng> mask_;              ///< of the current input
  std::optional<MaskMetrics> metrics_;
  std::vector<float> sums_;  ///< values x the band
  std::size_t pitch_ = 0;    ///< places of the band
  std::uint64_t input_places_ = 0;
  std::vector<std::int64_t> classes_;
  std::vector<std::int64_t> labels_;
};

BlendingSink::BlendingSink(const std::filesystem::path& folder, const ResultForm& form, const Tiling& tiling,
                           const std::optional<TileLabels>& labels)
    : tiling_(tiling),
      folder_(folder),
      labels_(labels),
      weights_(tile_weights(tiling.tiles().size, tiling.tiles().blend)),
      of_ensemble_(form.shape.has_value()),
      of_spread_(form.spread.has_value()) {
  for (const ResultForm::Member& member : form.members) check_file_name(member.name);
  std::vector<std::string> names;
  for (std::uint64_t input = 0; !tiling.of_one_size() && input < tiling.inputs(); ++input)
    names.push_back(tiling.name_of(input));
  check_own_files(names);
  if (form.shape) outputs_.emplace_back(*form.shape, tiling).write_into(folder / "predictions", tiling);
  if (form.decided) outputs_.front().decide_into(folder / "predicted", tiling);
  if (form.masks) outputs_.front().draw_into(folder / "masks");
  if (form.spread) outputs_.emplace_back(*form.spread, tiling).write_into(folder / "spread", tiling);
  const std::size_t members = labels_ ? labels_->members.size() : form.members.size();
  for (std::size_t rank = 0; rank < members; ++rank) {
    Output& output = outputs_.emplace_back(labels_ ? labels_->members[rank] : form.members[rank].shape, tiling);
    if (!form.members.empty()) output.write_into(own_file(folder / "members", form.members[rank].name, ""), tiling);
  }
  for (std::size_t output = 0; labels_ && output < outputs_.size(); ++output)
    if (output != spread_at()) outputs_[output].compare(labels_->ignored);
}

BlendingSink::BlendingSink(const ResultForm& form, const Tiling& tiling, Predictions& into)
    : tiling_(tiling),
      weights_(tile_weights(tiling.tiles().size, tiling.tiles().blend)),
      of_ensemble_(form.shape.has_value()),
      of_spread_(form.spread.has_value()) {
  assert(tiling.of_one_size());
  if (form.shape) {
    into.shape = outputs_.emplace_back(*form.shape, tiling).keep_in(into.values, tiling);
    into.width = static_cast<std::uint32_t>(elements_of(into.shape));
  }
  if (form.decided) {
    outputs_.front().decide_in(into.predicted, tiling);
    into.predicted_shape = sizes_of_inputs(tiling);
  }
  if (form.spread) into.spread_shape = outputs_.emplace_back(*form.spread, tiling).keep_in(into.spread, tiling);
  into.members.resize(form.members.size());
  for (std::size_t rank = 0; rank < form.members.size(); ++rank) {
    MemberPredictions& member = into.members[rank];
    member.name = form.members[rank].name;
    member.shape = outputs_.emplace_back(form.members[rank].shape, tiling).keep_in(member.values, tiling);
    member.width = static_cast<std::uint32_t>(elements_of(member.shape));
  }
}

std::size_t BlendingSink::spread_at() const { return of_spread_ ? (of_ensemble_ ? 1 : 0) : outputs_.size(); }

// The folder of the members is removed if nothing came into it.
BlendingSink::~BlendingSink() {
  outputs_.clear();
  if (folder_.empty()) return;
  std::error_code not_empty;
  std::filesystem::remove(folder_ / "members", not_empty);
}

void BlendingSink::begin(std::uint64_t input) {
  input_ = input;
  grid_ = tiling_.grid_of(input);
  band_ = grid_->input();
  band_.front() = std::min(band_.front(), grid_->tile().front());
  first_ = 0;
  weight_sums_.assign(elements_of(band_), 0.0F);
  for (Output& output : outputs_)
    output.begin(input, tiling_.inputs(), tiling_.name_of(input), *grid_, weight_sums_.size());
}

void BlendingSink::write(const SegmentResult& result) {
  assert(result.first == next_);
  for (std::uint32_t tile = 0; tile < result.count; ++tile, ++next_) {
    const Tiling::Place place = tiling_.place_of(next_);
    if (place.tile == 0) begin(place.input);
    const Region region = grid_->region(place.tile);
    if (region.begin.front() > first_) pass_on(region.begin.front() - first_);
    add(region, result, tile);
    if (place.tile + 1 < grid_->count()) continue;
    pass_on(band_.front());
    for (Output& output : outputs_) output.end();
    ++complete_;
  }
}

void BlendingSink::add(const Region& region, const SegmentResult& result, std::uint32_t tile) {
  Region in_band = region;
  in_band.begin.front() -= first_;
  std::vector<std::span<const float>> predictions;
  if (of_ensemble_) predictions.push_back(result.values.subspan(std::size_t{tile} * result.width, result.width));
  const std::uint32_t spread = result.spread_width();
  if (of_spread_) predictions.push_back(result.spread.subspan(std::size_t{tile} * spread, spread));
  for (std::size_t rank = 0; predictions.size() < outputs_.size(); ++rank) {
    const MemberSegmentResult& member = result.members[rank];
    predictions.push_back(member.values.subspan(std::size_t{tile} * member.width, member.width));
  }
  each_run(in_band, band_, grid_->tile(), [&](std::uint64_t whole, std::uint64_t part, std::size_t length) {
    const std::span weights = std::span(weights_).subspan(part, length);
    for (std::size_t i = 0; i < length; ++i) weight_sums_[whole + i] += weights[i];
    for (std::size_t o = 0; o < outputs_.size(); ++o) outputs_[o].add(whole, part, weights, predictions[o]);
  });
}

/// The first rows of the band, to which no later tile adds.
void BlendingSink::pass_on(std::uint32_t rows) {
  const std::uint64_t row = weight_sums_.size() / band_.front();
  const std::uint64_t places = row * std::min(rows, band_.front());
  for (Output& output : outputs_) output.complete(first_ * row, std::span(weight_sums_).first(places));
  pass_on_classes(first_ * row, places);
  for (Output& output : outputs_) output.drop(places);
  std::copy(weight_sums_.begin() + static_cast<std::ptrdiff_t>(places), weight_sums_.end(), weight_sums_.begin());
  std::fill(weight_sums_.end() - static_cast<std::ptrdiff_t>(places), weight_sums_.end(), 0.0F);
  first_ += rows;
}

/// The classes at the first `count` places of the band, which are those of the input from `first` on.
void BlendingSink::pass_on_classes(std::uint64_t first, std::size_t count) {
  for (std::size_t begin = 0; begin < count; begin += kAtOnce) {
    const std::size_t some = std::min(kAtOnce, count - begin);
    if (labels_) {
      truth_.resize(some);
      labels_->masks.read(input_, first + begin, truth_);
    }
    for (Output& output : outputs_) output.pass_on_classes(input_, first + begin, begin, some, truth_);
  }
}

std::optional<Figures> BlendingSink::ensemble() const {
  if (!labels_ || !of_ensemble_) return std::nullopt;
  return figures_of(*outputs_.front().metrics());
}

std::vector<Figures> BlendingSink::members() const {
  std::vector<Figures> all;
  if (!labels_) return all;
  for (std::size_t output = of_ensemble_ ? 1 : 0; output < outputs_.size(); ++output)
    if (output != spread_at()) all.push_back(figures_of(*outputs_[output].metrics()));
  return all;
}

void BlendingSink::finish() {
  // The ensemble's are last: if predictions.npy is there, all files are.
  for (auto output = outputs_.rbegin(); output != outputs_.rend(); ++output) output->finish();
}

void BlendingSink::finish_partial() {
  if (complete_ == 0) return log::warning("not all tiles of any input were predicted, so there are no partial results");
  for (auto output = outputs_.rbegin(); output != outputs_.rend(); ++output) output->finish_partial(complete_);
}

void BlendedMemory::write(const SegmentResult& result) {
  sink_.write(result);
  if (auto lacks = result.incomplete()) predictions_.incomplete.push_back(std::move(*lacks));
}

}  // namespace tutti::images
