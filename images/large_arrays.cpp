// Large inputs in an array: each tile is read from the file row by row, and nothing else of it.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "images/arrays.hpp"
#include "images/tiles.hpp"

namespace tutti::images {
namespace {

/// How the values of an array become those of tiles.
struct Reading {
  bool images = false;
  bool channels_last = false;
  bool from_float64 = false;
};

class LargeArray final : public LargeInputs {
 public:
  /// `input`: its layout has the channels first, even if the array has them last.
  LargeArray(const NamedLayout& input, const Reading& reading, std::string remark, RecordFile rows)
      : tensor_(input.name),
        dtype_(input.layout.dtype),
        channels_(input.layout.dims.front()),
        sizes_(input.layout.dims.begin() + 1, input.layout.dims.end()),
        reading_(reading),
        remark_(std::move(remark)),
        rows_(std::move(rows)) {}

  std::string name() const override { return fmt::format("npy {}", rows_.path().string()); }
  std::uint64_t count() const override { return rows_.count(); }
  bool are_images() const override { return reading_.images; }
  std::string tensor_name() const override { return tensor_; }
  Dtype dtype() const override { return dtype_; }
  std::uint32_t channels() const override { return channels_; }
  std::size_t axes() const override { return sizes_.size(); }
  bool of_one_size() const override { return true; }
  Dims sizes_of(std::uint64_t /*index*/) override { return sizes_; }
  InputMasks* masks() override { return masks_.get(); }
  void add_masks(const LabelFile& labels) {
    if (!labels.file.empty()) masks_ = open_masks(labels, count(), sizes_);
  }
  std::vector<std::string> remarks() const override {
    std::vector<std::string> all;
    if (!remark_.empty()) all.push_back(remark_);
    if (reading_.from_float64) all.push_back(float64_remark(rows_.path()));
    return all;
  }

  void read(std::uint64_t index, const Region& region, const Dims& tile, std::span<std::byte> out) override {
    const std::size_t bytes = size_of(dtype_);
    if (reading_.channels_last) return read_channels_last(index, region, tile, out);
    for (std::uint64_t channel = 0; channel < channels_; ++channel)
      each_run(region, sizes_, tile, [&](std::uint64_t whole, std::uint64_t part, std::size_t length) {
        const std::uint64_t to = channel * elements_of(tile) + part;
        read_run(index, channel * elements_of(sizes_) + whole, out.subspan(to * bytes, length * bytes));
      });
  }

 private:
  void read_run(std::uint64_t index, std::uint64_t place, std::span<std::byte> out) {
    if (reading_.from_float64) {
      run_.resize(out.size() / sizeof(float) * sizeof(double));
      rows_.copy_part(index, place * sizeof(double), run_);
      return narrow(rows_.path(), index, run_, out);
    }
    rows_.copy_part(index, place * size_of(dtype_), out);
    if (dtype_ == Dtype::boolean) make_truths(out);
  }

  void read_channels_last(std::uint64_t index, const Region& region, const Dims& tile, std::span<std::byte> out) {
    const std::size_t bytes = size_of(dtype_);
    each_run(region, sizes_, tile, [&](std::uint64_t whole, std::uint64_t part, std::size_t length) {
      run_.resize(length * channels_ * bytes);
      rows_.copy_part(index, whole * channels_ * bytes, run_);
      for (std::size_t channel = 0; channel < channels_; ++channel)
        for (std::size_t place = 0; place < length; ++place)
          std::copy_n(run_.begin() + static_cast<std::ptrdiff_t>((place * channels_ + channel) * bytes), bytes,
                      out.begin() + static_cast<std::ptrdiff_t>((channel * elements_of(tile) + part + place) * bytes));
    });
  }

  std::string tensor_;
  Dtype dtype_;
  std::uint32_t channels_;
  Dims sizes_;
  Reading reading_;
  std::string remark_;
  RecordFile rows_;
  std::unique_ptr<InputMasks> masks_;
  std::vector<std::byte> run_;
};

}  // namespace

std::unique_ptr<LargeInputs> open_large_images(const std::filesystem::path& images, Layout layout,
                                               const LabelFile& labels) {
  OpenArray array = open_array(images);
  const ImageShape shape = shape_of_images(array, layout);
  const Dtype dtype = array.header.descr == "|u1" ? Dtype::uint8 : Dtype::float32;
  std::string remark = std::move(array.remark);
  const Reading reading{true, layout == Layout::nhwc, false};
  auto large = std::make_unique<LargeArray>(NamedLayout{kImageTensor, shape.layout(dtype)}, reading, std::move(remark),
                                            open_images(std::move(array)));
  large->add_masks(labels);
  return large;
}

std::unique_ptr<LargeInputs> open_large_array(const ArrayInput& input, const LabelFile& labels) {
  OpenArray array = open_array(input.file);
  const TensorLayout layout = layout_of_rows(array);
  if (layout.dims.size() < 2 || layout.dims.size() > 1 + kMaxTiledAxes)
    refuse_array(array.file.path(), "inputs to cut into tiles",
                 fmt::format("its shape is {}, and (count, channels, ...) with 1 to {} axes after the channels is "
                             "needed",
                             array.header.shape_text(), kMaxTiledAxes),
                 "save the channels as the second axis, for a single one x[:, None]; or leave 'tiles' out");
  const Reading reading{false, false, array.header.descr == kFloat64};
  std::string remark = std::move(array.remark);
  auto large = std::make_unique<LargeArray>(NamedLayout{input.name, layout}, reading, std::move(remark),
                                            open_tensors(std::move(array)));
  large->add_masks(labels);
  return large;
}

}  // namespace tutti::images
