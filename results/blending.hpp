// The predictions of tiles, blended into one prediction of each input, and written as arrays (results/sinks.hpp) and
// masks, or kept in memory. It streams: only the rows along the first axis that later tiles still add to are in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tutti/predictions.hpp>

#include "images/tiles.hpp"
#include "results/figures.hpp"
#include "results/sinks.hpp"

namespace tutti::images {

/// How much each place of a tile counts, row-major. mean: 1. gaussian: the product along the axes of
/// exp(-(x - c)^2 / (2 s^2)) with s = size / 8 and c = (size - 1) / 2, divided by its maximum, and at least 0.001.
std::vector<float> tile_weights(const Dims& tile, Blend blend);

/// Throws Error(usage) if predictions of these sizes are not those of a tile, with or without one axis before them; or
/// if there are classes (`class_axis`, the place of their axis) and this axis is not theirs.
void check_tile_output(const std::string& member, const Dims& output, const Dims& tile,
                       std::optional<std::size_t> class_axis);

/// What the classes of inputs are compared with.
struct TileLabels {
  InputMasks& masks;
  std::optional<std::int64_t> ignored;  ///< places with this label do not count
  std::vector<Dims> members;            ///< the predictions of a tile, in rank order: classes x the sizes of the tile
};

/// At each place of an input: the sum of weight * prediction over the tiles that hold it, in their order, divided by
/// the sum of the weights, in float32. The class is the one with the largest result; of equal ones, the lowest; -1
/// where no result is a number.
///
/// Of inputs of one size predictions.npy and predicted.npy hold inputs x the prediction's sizes, and members/<name>.npy
/// the same of each member; spread.npy holds the spread, blended like the predictions. Inputs of several sizes have
/// files of their own, which are in place once all of their tiles are: predictions/<input>.npy, predicted/<input>.npy,
/// spread/<input>.npy, members/<name>/<input>.npy. So are masks/<input>.png.
///
/// With masks of the inputs, the classes of the ensemble and of every member are compared with them, a few rows at a
/// time, once they are decided from what is blended. For this each member has a band of its own, even if its
/// predictions are not written. Places where no tile was predicted do not count.
class BlendingSink final : public ResultSink {
 public:
  /// `form` is that of tiles, which check_tile_output() has passed; `tiling` and the masks outlive the sink. Throws
  /// Error(usage) if a member's name cannot be the name of a file, or two inputs would have the same files.
  BlendingSink(const std::filesystem::path& folder, const ResultForm& form, const Tiling& tiling,
               const std::optional<TileLabels>& labels = std::nullopt);
  /// The same in memory, of inputs of one size: all of `into` but its count and what is incomplete. Both outlive the
  /// sink; finish() does nothing.
  BlendingSink(const ResultForm& form, const Tiling& tiling, Predictions& into);
  ~BlendingSink() override;

  /// Tiles in order.
  void write(const SegmentResult& result) override;
  void finish() override;
  /// Puts the inputs of which all tiles have come into predictions.partial.npy, and so on.
  void finish_partial() override;

  /// How good the classes are so far. Nothing without masks, and with the rule `none`.
  std::optional<Figures> ensemble() const;
  /// In rank order; empty without masks.
  std::vector<Figures> members() const;

 private:
  class Output;
  void begin(std::uint64_t input);
  void add(const Region& region, const SegmentResult& result, std::uint32_t tile);
  void pass_on(std::uint32_t rows);
  void pass_on_classes(std::uint64_t first, std::size_t count);

  const Tiling& tiling_;
  const std::filesystem::path folder_;
  const std::optional<TileLabels> labels_;
  const std::vector<float> weights_;  ///< of a tile's places
  /// Of the ensemble, unless the rule is `none`; its spread, if it was asked for; then of the members.
  std::vector<Output> outputs_;
  bool of_ensemble_;  ///< the first output is the ensemble's
  bool of_spread_;    ///< the next is its spread
  /// The place of the spread among the outputs, or one behind all.
  std::size_t spread_at() const;

  std::uint64_t input_ = 0;     ///< that is being blended
  std::uint64_t next_ = 0;      ///< tile
  std::uint64_t complete_ = 0;  ///< inputs
  std::optional<TileGrid> grid_;
  Dims band_;                        ///< the sizes of the rows in memory
  std::uint32_t first_ = 0;          ///< which row of the input is the first of them
  std::vector<float> weight_sums_;   ///< of the places in the band
  std::vector<std::int64_t> truth_;  ///< labels of some places
};

/// Collects the blended predictions of inputs of one size. What is incomplete are segments of tiles.
class BlendedMemory final : public CollectingSink {
 public:
  /// As BlendingSink; `tiling` outlives it.
  BlendedMemory(const ResultForm& form, const Tiling& tiling) : sink_(form, tiling, predictions_) {
    predictions_.count = tiling.inputs();
  }

  void write(const SegmentResult& result) override;
  Predictions take() override { return std::exchange(predictions_, {}); }

 private:
  Predictions predictions_;
  BlendingSink sink_;
};

}  // namespace tutti::images
