// A source as an ensemble takes it, and how samples get from there into the arena.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <tutti/error.hpp>

#include "common/resample.hpp"
#include "common/tensor_text.hpp"
#include "coordinator/plan/input.hpp"
#include "images/planes.hpp"

namespace tutti {
namespace {

[[noreturn]] void refuse_floats(const Source& source) {
  throw Error(ErrorKind::usage, fmt::format("{} gives float32, but the ensemble takes images as bytes", source.name()),
              "its 'input' has bytes, from which each worker prepares its member's images",
              "give uint8, 0 to 255; an ensemble whose 'input' does not name a data set takes both");
}

[[noreturn]] void refuse_encoded(const Source& source, const InputForm& form) {
  if (form.tiles)
    throw Error(ErrorKind::usage, fmt::format("{} has encoded pictures, which are not cut into tiles", source.name()),
                "the 'input' of the ensemble has 'tiles'", "decode them, and pass them as tutti::Images");
  throw Error(ErrorKind::usage,
              fmt::format("{} has encoded pictures, but the ensemble does not resize pictures", source.name()),
              fmt::format("it takes {}", sample_text(form.tensors)),
              "say in 'input' what becomes of pictures of any size, for example 'input: {resize: 256, crop: 224}'");
}

bool is_one_image(const std::vector<NamedLayout>& tensors) {
  return tensors.size() == 1 && tensors.front().name == kImageTensor && image_shape(tensors.front().layout);
}

[[noreturn]] void refuse_samples(const Source& source, const InputForm& form) {
  const std::vector<NamedLayout> given = source.tensors();
  if (is_one_image(given) && is_one_image(form.tensors)) {
    if (given.front().layout.dims != form.tensors.front().layout.dims)
      throw Error(ErrorKind::usage,
                  fmt::format("{} has images of {}, but the ensemble takes {}", source.name(), sample_text(given),
                              sample_text(form.tensors)),
                  {}, "the ensemble's shape is that of its 'input', or 'input: {shape: [channels, height, width]}'");
    if (source.shape() != ImageShape{} && form.tensors.front().layout.dtype == Dtype::uint8) refuse_floats(source);
  }
  throw Error(ErrorKind::usage, fmt::format("{} has other samples than the ensemble takes", source.name()),
              fmt::format("it has {}; the ensemble takes {}", sample_text(given), sample_text(form.tensors)),
              "the ensemble takes the tensors of its 'input', by their names");
}

/// The tensors of a source in another order.
class Ordered final : public images::Forwarding {
 public:
  Ordered(Source& source, const std::vector<NamedLayout>& tensors) : Forwarding(source), tensors_(tensors) {
    for (const NamedLayout& behind : source.tensors())
      places_.push_back(
          static_cast<std::size_t>(std::ranges::find(tensors_, behind.name, &NamedLayout::name) - tensors_.begin()));
  }

  std::vector<NamedLayout> tensors() const override { return tensors_; }
  void read_tensors(std::span<const std::uint64_t> indices, std::span<const std::span<std::byte>> tensors,
                    std::span<std::int64_t> labels) override {
    std::vector<std::span<std::byte>> ordered;
    for (const std::size_t place : places_) ordered.push_back(tensors[place]);
    Forwarding::read_tensors(indices, ordered, labels);
  }

 private:
  const std::vector<NamedLayout> tensors_;
  std::vector<std::size_t> places_;  ///< by those of the source
};

}  // namespace

void check_fits(const Source& source, const InputForm& form) {
  const std::vector<NamedLayout> given = source.tensors();
  // Images of bytes can also be read as float32.
  const bool become_floats = source.has_bytes() && form.tensors.size() == 1 &&
                             form.tensors.front() == NamedLayout{kImageTensor, source.shape().layout()};
  if (!become_floats && !std::ranges::is_permutation(given, form.tensors)) refuse_samples(source, form);
}

FittedSource::FittedSource(Source& source, const InputForm& form) : source_(source) {
  const std::vector<Plane>& planes = form.planes;
  images::PlaneSource* decoding = images::decoding(source);
  auto* const encoded = dynamic_cast<EncodedSource*>(&source);
  if (encoded != nullptr && planes.empty()) refuse_encoded(source, form);
  if (planes.empty()) {
    check_fits(source, form);
    if (decoding != nullptr) decoding->choose_planes(std::vector<Resize>(1));  // another ensemble may have chosen
    if (form.tensors.size() > 1 && source.tensors() != form.tensors)
      made_ = std::make_unique<Ordered>(source, form.tensors);
    return;
  }
  if (encoded != nullptr) {
    auto made = images::decoded(*encoded, planes.front().resize, form.decoding);
    decoding = made.get();
    made_ = std::move(made);
  }
  if (decoding == nullptr) {
    if (source.shape() == ImageShape{}) refuse_samples(source, form);
    if (!source.has_bytes()) refuse_floats(source);
    auto made = images::as_pictures(source);
    decoding = made.get();
    made_ = std::move(made);
  }
  std::vector<Resize> asked;
  for (const Plane& plane : planes) asked.push_back(plane.asked);
  decoding->choose_planes(asked);
  const std::vector<ImageShape> shapes = decoding->plane_shapes();
  for (std::size_t p = 0; p < planes.size(); ++p) {
    const ImageShape wanted = fixed_shape(planes[p].resize);
    if (shapes[p] == wanted) continue;
    throw Error(
        ErrorKind::usage,
        fmt::format("{} gives images of {}, but the ensemble takes {}", source.name(), shapes[p].text(), wanted.text()),
        fmt::format("its 'input' makes of a picture: {}", to_text(planes[p].resize)),
        "give images of this shape, or each member an 'input' with 'resize'");
  }
}

void read_images(Source& source, std::span<const std::uint64_t> indices, const SlotPlace& place, bool labels) {
  if (auto* const own = dynamic_cast<SlotSource*>(&source); own != nullptr) return own->read_into(indices, place);
  const auto end = place.first + static_cast<std::uint32_t>(indices.size());
  const auto view = [&](std::size_t array) {
    SlotView<std::byte> rows = slot_view(place.arena, place.layout, place.slot, end, array);
    rows.bytes = rows.bytes.subspan(place.first * place.layout.arrays[array].bytes());
    rows.labels = rows.labels.subspan(place.first);
    return rows;
  };
  const SlotView<std::byte> first = view(0);
  const std::span<std::int64_t> wanted = labels ? first.labels : std::span<std::int64_t>{};
  if (images::PlaneSource* const decoding = images::decoding(source);
      decoding != nullptr && first.dtype == Dtype::uint8) {
    std::vector<std::span<std::uint8_t>> planes;
    for (std::size_t array = 0; array < place.layout.arrays.size(); ++array) planes.push_back(view(array).pixels());
    return decoding->read_planes(indices, planes, wanted);
  }
  if (first.dtype == Dtype::float32 && source.has_bytes()) return source.read(indices, first.floats(), wanted);
  std::vector<std::span<std::byte>> tensors;
  for (std::size_t array = 0; array < place.layout.arrays.size(); ++array) tensors.push_back(view(array).bytes);
  source.read_tensors(indices, tensors, wanted);
}

}  // namespace tutti
