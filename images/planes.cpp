// Planes of images that are in one shape already.
#include "images/planes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <optional>

#include <tutti/error.hpp>

#include "common/resample.hpp"

namespace tutti::images {
namespace {

/// Images that are read at once if no plane has room for them.
constexpr std::size_t kAtOnce = 16;

class ArrayPictures final : public Forwarding {
 public:
  explicit ArrayPictures(Source& source) : Forwarding(source), source_(source) { choose({}); }

  bool decodes() const override { return true; }
  void choose_planes(std::span<const Resize> asked) override { choose(asked); }
  std::vector<ImageShape> plane_shapes() const override {
    std::vector<ImageShape> shapes;
    for (const Plane& plane : planes_) shapes.push_back(plane.shape);
    return shapes;
  }

  void read_planes(std::span<const std::uint64_t> indices, std::span<const std::span<std::uint8_t>> planes,
                   std::span<std::int64_t> labels) override {
    assert(planes.size() == planes_.size());
    const std::size_t elements = source_.shape().elements();
    const auto same = std::ranges::find_if(planes_, [](const Plane& plane) { return !plane.resampler; });
    if (same != planes_.end()) {
      const auto whole = planes[static_cast<std::size_t>(same - planes_.begin())].first(indices.size() * elements);
      source_.read_bytes(indices, whole, labels);
      return make(whole, 0, planes);
    }
    for (std::size_t first = 0; first < indices.size(); first += kAtOnce) {
      const std::size_t count = std::min(kAtOnce, indices.size() - first);
      read_.resize(count * elements);
      source_.read_bytes(indices.subspan(first, count), read_, labels.empty() ? labels : labels.subspan(first, count));
      make(read_, first, planes);
    }
  }
  std::uint64_t take_unturned() override { return 0; }

 private:
  struct Plane {
    ImageShape shape;
    std::optional<Resampler> resampler;  ///< none: the images as they are
  };

  /// Without a resize the crop is of the image as it is.
  void check_crop(const Resize& resize) const {
    const ImageShape shape = source_.shape();
    if (resize.rule != ResizeRule::none || (resize.crop_height <= shape.height && resize.crop_width <= shape.width))
      return;
    throw Error(ErrorKind::usage,
                fmt::format("{} has images of {}, which are smaller than the 'crop' of a member, {}x{}", source_.name(),
                            shape.text(), resize.crop_height, resize.crop_width),
                {}, "give larger images, or add 'resize' to the 'input' of the member");
  }

  void choose(std::span<const Resize> asked) {
    planes_.clear();
    for (const Resize& one : asked) {
      const Resize resize = resize_of_picture(one, {});
      check_crop(resize);
      Plane& plane = planes_.emplace_back();
      plane.shape = source_.shape();
      if (resize == Resize{}) continue;
      plane.resampler.emplace(resize, source_.shape());
      plane.shape = plane.resampler->shape();
    }
    if (planes_.empty()) planes_.push_back({source_.shape(), std::nullopt});
  }

  /// The other planes of some images, of which the first is image `first` of each plane.
  void make(std::span<const std::uint8_t> images, std::size_t first, std::span<const std::span<std::uint8_t>> planes) {
    const std::size_t from = source_.shape().elements();
    for (std::size_t p = 0; p < planes_.size(); ++p) {
      const std::size_t to = planes_[p].shape.elements();
      std::uint8_t* const out = planes[p].data() + first * to;
      if (!planes_[p].resampler) {
        if (out != images.data()) std::ranges::copy(images, out);
        continue;
      }
      for (std::size_t image = 0; image * from < images.size(); ++image)
        planes_[p].resampler->apply(images.subspan(image * from, from), std::span(out + image * to, to));
    }
  }

  Source& source_;
  std::vector<Plane> planes_;
  std::vector<std::uint8_t> read_;
};

}  // namespace

PlaneSource* decoding(Source& source) {
  auto* const planes = dynamic_cast<PlaneSource*>(&source);
  return planes != nullptr && planes->decodes() ? planes : nullptr;
}

const PlaneSource* decoding(const Source& source) {
  const auto* const planes = dynamic_cast<const PlaneSource*>(&source);
  return planes != nullptr && planes->decodes() ? planes : nullptr;
}

std::unique_ptr<PlaneSource> as_pictures(Source& source) { return std::make_unique<ArrayPictures>(source); }

}  // namespace tutti::images
