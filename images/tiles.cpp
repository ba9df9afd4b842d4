// The source that cuts large inputs into tiles.
#include "images/tiles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <numeric>
#include <optional>
#include <utility>

#include "common/counted.hpp"
#include "images/bytes_to_floats.hpp"

namespace tutti::images {

Tiling::Tiling(Tiles tiles, Dims sizes, std::uint64_t inputs)
    : tiles_(std::move(tiles)), inputs_(inputs), sizes_(std::move(sizes)) {}

Tiling::Tiling(Tiles tiles, std::vector<Input> inputs)
    : tiles_(std::move(tiles)), inputs_(inputs.size()), own_(std::move(inputs)), first_{0} {
  for (const Input& input : own_) first_.push_back(first_.back() + TileGrid(tiles_, input.sizes).count());
}

std::uint64_t Tiling::count() const noexcept {
  if (inputs_ == 0) return 0;
  return of_one_size() ? inputs_ * grid_of(0).count() : first_.back();
}

TileGrid Tiling::grid_of(std::uint64_t input) const {
  assert(input < inputs_);
  return {tiles_, of_one_size() ? sizes_ : own_[input].sizes};
}

const std::string& Tiling::name_of(std::uint64_t input) const {
  static const std::string none;
  return of_one_size() ? none : own_[input].name;
}

std::uint64_t Tiling::band_places() const {
  std::uint64_t most = 0;
  for (std::uint64_t input = 0; input < (of_one_size() ? std::min<std::uint64_t>(inputs_, 1) : inputs_); ++input) {
    const TileGrid grid = grid_of(input);
    const std::uint64_t rest = elements_of(grid.input()) / grid.input().front();
    most = std::max(most, rest * std::min(grid.tile().front(), grid.input().front()));
  }
  return most;
}

Tiling::Place Tiling::place_of(std::uint64_t number) const {
  assert(number < count());
  if (of_one_size()) {
    const std::uint64_t each = grid_of(0).count();
    return {number / each, number % each};
  }
  const auto after = std::ranges::upper_bound(first_, number);
  return {static_cast<std::uint64_t>(after - first_.begin()) - 1, number - *(after - 1)};
}

namespace {

/// The masks of inputs without the first ones.
class LaterMasks final : public InputMasks {
 public:
  LaterMasks(InputMasks& all, std::uint64_t first) : all_(all), first_(first) {}

  std::string name() const override { return all_.name(); }
  std::uint32_t classes() const override { return all_.classes(); }
  void read(std::uint64_t index, std::uint64_t first, std::span<std::int64_t> labels) override {
    all_.read(first_ + index, first, labels);
  }

 private:
  InputMasks& all_;
  const std::uint64_t first_;
};

class Tiled final : public PlaneSource {
 public:
  Tiled(std::unique_ptr<LargeInputs> inputs, const Tiles& tiles, std::uint64_t first, std::uint64_t count)
      : inputs_(std::move(inputs)), first_(first), tiling_(tiling_for(tiles, count)), tile_(tiling_.tiles().size) {
    if (InputMasks* const masks = inputs_->masks(); masks != nullptr) masks_.emplace(*masks, first);
  }

  std::string name() const override {
    return fmt::format("{}, {} in tiles of {}", inputs_->name(), counted(tiling_.inputs(), "input"), dims_text(tile_));
  }
  ImageShape shape() const override {
    return inputs_->are_images() ? ImageShape{inputs_->channels(), tile_[0], tile_[1]} : ImageShape{};
  }
  std::uint64_t count() const override { return tiling_.count(); }
  std::uint32_t classes() const override { return masks_ ? masks_->classes() : 0; }
  bool labelled() const override { return false; }
  bool has_bytes() const override { return inputs_->are_images() && inputs_->dtype() == Dtype::uint8; }
  std::string image_name(std::uint64_t index) const override {
    const Tiling::Place place = tiling_.place_of(index);
    const std::string& name = tiling_.name_of(place.input);
    return fmt::format("tile {} of {}", place.tile, name.empty() ? fmt::format("input {}", place.input) : name);
  }
  std::vector<std::string> skipped() const override { return inputs_->skipped(); }
  std::vector<std::string> remarks() const override { return inputs_->remarks(); }

  void read(std::span<const std::uint64_t> indices, std::span<float> pixels,
            std::span<std::int64_t> /*labels*/) override {
    if (!has_bytes()) return read_all(indices, std::as_writable_bytes(pixels));
    const std::size_t elements = shape().elements();
    bytes_.resize(elements);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      read_bytes(indices.subspan(i, 1), bytes_, {});
      std::ranges::transform(bytes_, pixels.begin() + static_cast<std::ptrdiff_t>(i * elements),
                             [](std::uint8_t value) { return kUnitFloats[value]; });
    }
  }
  void read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                  std::span<std::int64_t> /*labels*/) override {
    read_all(indices, std::as_writable_bytes(pixels));
  }

  std::vector<NamedLayout> tensors() const override {
    TensorLayout layout{inputs_->dtype(), {inputs_->channels()}};
    layout.dims.insert(layout.dims.end(), tile_.begin(), tile_.end());
    return {{inputs_->tensor_name(), std::move(layout)}};
  }
  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                    std::span<std::int64_t> /*labels*/) override {
    read_all(indices, tensors[0]);
  }

  // Tiles are not resized.
  bool decodes() const override { return false; }
  void choose_planes(std::span<const Resize> /*asked*/) override {}
  std::vector<ImageShape> plane_shapes() const override { return {}; }
  void read_planes(std::span<const std::uint64_t> /*indices*/, std::span<const std::span<std::uint8_t>> /*planes*/,
                   std::span<std::int64_t> /*labels*/) override {}
  std::uint64_t take_unturned() override { return inputs_->take_unturned(); }
  const Tiling* tiling() const override { return &tiling_; }
  InputMasks* input_masks() override { return masks_ ? &*masks_ : nullptr; }

 private:
  /// `tiles` with a size for each axis.
  Tiles whole(Tiles tiles) const {
    if (tiles.size.size() == 1) tiles.size.resize(inputs_->axes(), tiles.size.front());
    if (tiles.size.size() == inputs_->axes()) return tiles;
    throw Error(ErrorKind::usage,
                fmt::format("'size' of 'tiles' has {}, but the inputs have {}", counted(tiles.size.size(), "number"),
                            axes_text()),
                fmt::format("{} has inputs of {}", inputs_->name(), sizes_text()),
                "give one number for all axes, or one for each axis after the channels");
  }

  std::string axes_text() const {
    return inputs_->axes() == 1 ? "1 spatial axis" : fmt::format("{} spatial axes", inputs_->axes());
  }
  std::string sizes_text() const {
    return inputs_->of_one_size() && inputs_->count() > 0
               ? fmt::format("{}x{}", inputs_->channels(), dims_text(inputs_->sizes_of(0)))
               : fmt::format("{} and {}", counted(inputs_->channels(), "channel"), axes_text());
  }

  Tiling tiling_for(const Tiles& tiles, std::uint64_t most) const {
    const std::uint64_t there = inputs_->count() - std::min(first_, inputs_->count());
    const std::uint64_t count = std::min(there, most);
    if (inputs_->of_one_size()) return {whole(tiles), inputs_->sizes_of(0), count};
    std::vector<Tiling::Input> each;
    for (std::uint64_t input = first_; input < first_ + count; ++input)
      each.push_back({inputs_->name_of(input), inputs_->sizes_of(input)});
    return {whole(tiles), std::move(each)};
  }

  void read_all(std::span<const std::uint64_t> indices, std::span<std::byte> out) {
    if (indices.empty()) return;
    const std::size_t bytes = out.size() / indices.size();
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const Tiling::Place place = tiling_.place_of(indices[i]);
      const Region region = tiling_.grid_of(place.input).region(place.tile);
      const std::span<std::byte> tile = out.subspan(i * bytes, bytes);
      if (region.size != tile_) std::ranges::fill(tile, std::byte{0});
      inputs_->read(first_ + place.input, region, tile_, tile);
    }
  }

  const std::unique_ptr<LargeInputs> inputs_;
  const std::uint64_t first_;
  const Tiling tiling_;
  const Dims tile_;
  std::optional<LaterMasks> masks_;
  std::vector<std::uint8_t> bytes_;  ///< of one tile
};

}  // namespace

std::unique_ptr<Source> tiled(std::unique_ptr<LargeInputs> inputs, const Tiles& tiles, std::uint64_t first,
                              std::uint64_t count) {
  return std::make_unique<Tiled>(std::move(inputs), tiles, first, count);
}

const Tiling* tiling_of(const Source& source) {
  const auto* const planes = dynamic_cast<const PlaneSource*>(&source);
  return planes != nullptr ? planes->tiling() : nullptr;
}

InputMasks* masks_of(Source& source) {
  auto* const planes = dynamic_cast<PlaneSource*>(&source);
  return planes != nullptr ? planes->input_masks() : nullptr;
}

}  // namespace tutti::images
