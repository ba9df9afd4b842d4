// Something at each place of large inputs: an array of all of them, in a file or in memory, or a file of each. For what
// is blended from tiles.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "images/npy.hpp"
#include "images/tiles.hpp"
#include "results/masks.hpp"

namespace tutti::images {

/// Of inputs of one size.
inline Dims sizes_of_inputs(const Tiling& tiling) {
  return tiling.inputs() > 0 ? tiling.grid_of(0).input() : tiling.tiles().size;
}

class InputArray {
 public:
  /// `base`: the file without its ending, or the folder of the files. `leading`: there is an axis of `values`.
  InputArray(std::filesystem::path base, NpyType type, const Tiling& tiling, bool leading, std::uint32_t values)
      : base_(std::move(base)), type_(type), tiling_(&tiling), leading_(leading), values_(values) {
    if (tiling.of_one_size()) writer_.emplace(file(), type, sizes_of_array(tiling.inputs(), sizes_of_inputs(tiling)));
  }
  /// In memory: `room`, which outlives it, has `values` for each place of all inputs, which are of one size.
  template <class Value>
  InputArray(std::vector<Value>& room, const Tiling& tiling, std::uint32_t values)
      : tiling_(&tiling), values_(values), room_(&room) {
    room.resize(tiling.inputs() * elements_of(sizes_of_inputs(tiling)) * values);
  }

  void begin(std::uint64_t input) {
    const Dims sizes = tiling_->grid_of(input).input();
    const std::uint64_t values = elements_of(sizes) * values_;
    begin_ = tiling_->of_one_size() ? input * values : 0;
    if (tiling_->of_one_size()) return;
    const std::string name = file_name_of(tiling_->name_of(input), input, tiling_->inputs());
    writer_.emplace(own_file(base_, name, ".npy"), type_, sizes_of_array({}, sizes));
  }
  /// Values from place `first` of the current input on.
  template <class Value>
  void write(std::uint64_t first, std::span<const Value> values) {
    if (writer_) return writer_->write_at(begin_ + first, values);
    std::ranges::copy(values, std::get<std::vector<Value>*>(room_)->data() + begin_ + first);
  }
  void end() {
    if (tiling_->of_one_size()) return;
    writer_->finish();
    writer_.reset();
  }
  void finish() {
    if (!writer_ || !tiling_->of_one_size()) return;
    writer_->finish();
    remove_partial(partial_of(file()));
  }
  void finish_partial(std::uint64_t inputs) {
    if (writer_ && tiling_->of_one_size() && inputs > 0) writer_->finish_partial(partial_of(file()), inputs);
  }

 private:
  std::filesystem::path file() const { return base_.string() + ".npy"; }

  std::vector<std::uint64_t> sizes_of_array(std::optional<std::uint64_t> inputs, const Dims& input) const {
    std::vector<std::uint64_t> sizes;
    if (inputs) sizes.push_back(*inputs);
    if (leading_) sizes.push_back(values_);
    sizes.insert(sizes.end(), input.begin(), input.end());
    return sizes;
  }

  std::filesystem::path base_;
  NpyType type_ = NpyType::float32;
  const Tiling* tiling_;
  bool leading_ = false;
  std::uint32_t values_;
  std::optional<NpyWriter> writer_;  ///< none in memory, and between inputs with files of their own
  std::variant<std::monostate, std::vector<float>*, std::vector<std::int64_t>*> room_;
  std::uint64_t begin_ = 0;  ///< of the current input, in the array
};

}  // namespace tutti::images
