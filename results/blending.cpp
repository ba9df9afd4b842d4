#include "results/blending.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <system_error>
#include <utility>

#include "common/log.hpp"
#include "results/masks.hpp"

namespace tutti::images {
namespace {

/// Places of which the classes are decided at once.
constexpr std::size_t kAtOnce = 65536;

/// 1, or the values that a prediction has for each place of its tile.
std::uint32_t values_per_place(const Dims& output, const Dims& tile) {
  return output.size() == tile.size() ? 1 : output.front();
}

std::vector<std::uint64_t> sizes_of_array(std::optional<std::uint64_t> inputs, bool leading, std::uint32_t values,
                                          const Dims& input) {
  std::vector<std::uint64_t> sizes;
  if (inputs) sizes.push_back(*inputs);
  if (leading) sizes.push_back(values);
  sizes.insert(sizes.end(), input.begin(), input.end());
  return sizes;
}

}  // namespace

/// An array of something at each place of the inputs: one file of all, or a file of each.
class InputArray {
 public:
  /// `base`: the file without its ending, or the folder of the files. `leading`: there is an axis of `values`.
  InputArray(std::filesystem::path base, NpyType type, const Tiling& tiling, bool leading, std::uint32_t values)
      : base_(std::move(base)), type_(type), tiling_(&tiling), leading_(leading), values_(values) {
    if (!tiling.of_one_size()) return;
    const Dims sizes = tiling.inputs() > 0 ? tiling.grid_of(0).input() : tiling.tiles().size;
    writer_.emplace(file(), type, sizes_of_array(tiling.inputs(), leading, values, sizes));
  }

  void begin(std::uint64_t input) {
    const Dims sizes = tiling_->grid_of(input).input();
    const std::uint64_t values = elements_of(sizes) * values_;
    begin_ = tiling_->of_one_size() ? input * values : 0;
    if (tiling_->of_one_size()) return;
    const std::string name = file_name_of(tiling_->name_of(input), input, tiling_->inputs());
    writer_.emplace(own_file(base_, name, ".npy"), type_, sizes_of_array({}, leading_, values_, sizes));
  }
  /// Values from place `first` of the current input on.
  template <class Value>
  void write(std::uint64_t first, std::span<const Value> values) {
    writer_->write_at(begin_ + first, values);
  }
  void end() {
    if (tiling_->of_one_size()) return;
    writer_->finish();
    writer_.reset();
  }
  void finish() {
    if (!tiling_->of_one_size()) return;
    writer_->finish();
    remove_partial(partial_of(file()));
  }
  void finish_partial(std::uint64_t inputs) {
    if (tiling_->of_one_size() && inputs > 0) writer_->finish_partial(partial_of(file()), inputs);
  }

 private:
  std::filesystem::path file() const { return base_.string() + ".npy"; }

  std::filesystem::path base_;
  NpyType type_;
  const Tiling* tiling_;
  bool leading_;
  std::uint32_t values_;
  std::optional<NpyWriter> writer_;
  std::uint64_t begin_ = 0;  ///< of the current input, in the array
};

namespace {

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

/// The blended predictions of the ensemble, or of a member.
class BlendingSink::Output {
 public:
  Output(const std::filesystem::path& base, const Dims& output, const Tiling& tiling)
      : values_(values_per_place(output, tiling.tiles().size)),
        array_(base, NpyType::float32, tiling, output.size() > tiling.tiles().size.size(), values_) {}

  void decide_into(const std::filesystem::path& base, const Tiling& tiling) {
    decided_.emplace(base, NpyType::int64, tiling, false, 1);
  }
  void draw_into(std::filesystem::path folder) { masks_ = std::move(folder); }

  void begin(std::uint64_t input, std::uint64_t inputs, const std::string& name, const TileGrid& grid,
             std::uint64_t band_places) {
    sums_.assign(band_places * values_, 0.0F);
    pitch_ = band_places;
    input_places_ = elements_of(grid.input());
    array_.begin(input);
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

  /// Writes the first places of the band, which are those of the input from `first` on, and removes them.
  void pass_on(std::uint64_t first, std::span<const float> weight_sums) {
    const std::size_t count = weight_sums.size();
    for (std::uint32_t value = 0; value < values_; ++value) {
      const std::span finished = std::span(sums_).subspan(value * pitch_, count);
      for (std::size_t i = 0; i < count; ++i) finished[i] /= weight_sums[i];
      array_.write<float>(value * input_places_ + first, finished);
    }
    if (decided_) pass_on_classes(first, count);
    for (std::uint32_t value = 0; value < values_; ++value) {
      const std::span band = std::span(sums_).subspan(value * pitch_, pitch_);
      std::ranges::copy(band.subspan(count), band.begin());
      std::ranges::fill(band.last(count), 0.0F);
    }
  }

  void end() {
    array_.end();
    if (decided_) decided_->end();
    if (mask_) mask_->finish();
    mask_.reset();
  }
  void finish() {
    if (decided_) decided_->finish();
    array_.finish();
  }
  void finish_partial(std::uint64_t inputs) {
    if (decided_) decided_->finish_partial(inputs);
    array_.finish_partial(inputs);
  }

 private:
  void pass_on_classes(std::uint64_t first, std::size_t count) {
    for (std::size_t begin = 0; begin < count; begin += kAtOnce) {
      classes_.resize(std::min(kAtOnce, count - begin));
      decide(sums_.data() + begin, pitch_, values_, classes_);
      decided_->write<std::int64_t>(first + begin, classes_);
      if (mask_) write_classes(*mask_, classes_);
    }
  }

  std::uint32_t values_;  ///< at each place
  InputArray array_;
  std::optional<InputArray> decided_;
  std::optional<std::filesystem::path> masks_;  ///< the folder
  std::optional<PalettePng> mask_;              ///< of the current input
  std::vector<float> sums_;                     ///< values x the band
  std::size_t pitch_ = 0;                       ///< places of the band
  std::uint64_t input_places_ = 0;
  std::vector<std::int64_t> classes_;
};

BlendingSink::BlendingSink(const std::filesystem::path& folder, const ResultForm& form, const Tiling& tiling)
    : tiling_(tiling),
      folder_(folder),
      weights_(tile_weights(tiling.tiles().size, tiling.tiles().blend)),
      of_ensemble_(form.shape.has_value()),
      of_spread_(form.spread.has_value()) {
  for (const ResultForm::Member& member : form.members) check_file_name(member.name);
  std::vector<std::string> names;
  for (std::uint64_t input = 0; !tiling.of_one_size() && input < tiling.inputs(); ++input)
    names.push_back(tiling.name_of(input));
  check_own_files(names);
  if (form.shape) outputs_.emplace_back(folder / "predictions", *form.shape, tiling);
  if (form.decided) outputs_.front().decide_into(folder / "predicted", tiling);
  if (form.masks) outputs_.front().draw_into(folder / "masks");
  if (form.spread) outputs_.emplace_back(folder / "spread", *form.spread, tiling);
  for (const ResultForm::Member& member : form.members)
    outputs_.emplace_back(own_file(folder / "members", member.name, ""), member.shape, tiling);
}

// The folder of the members is removed if nothing came into it.
BlendingSink::~BlendingSink() {
  outputs_.clear();
  std::error_code not_empty;
  std::filesystem::remove(folder_ / "members", not_empty);
}

void BlendingSink::begin(std::uint64_t input) {
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
  for (Output& output : outputs_) output.pass_on(first_ * row, std::span(weight_sums_).first(places));
  std::copy(weight_sums_.begin() + static_cast<std::ptrdiff_t>(places), weight_sums_.end(), weight_sums_.begin());
  std::fill(weight_sums_.end() - static_cast<std::ptrdiff_t>(places), weight_sums_.end(), 0.0F);
  first_ += rows;
}

void BlendingSink::finish() {
  // The ensemble's are last: if predictions.npy is there, all files are.
  for (auto output = outputs_.rbegin(); output != outputs_.rend(); ++output) output->finish();
}

void BlendingSink::finish_partial() {
  if (complete_ == 0) return log::warning("not all tiles of any input were predicted, so there are no partial results");
  for (auto output = outputs_.rbegin(); output != outputs_.rend(); ++output) output->finish_partial(complete_);
}

}  // namespace tutti::images
