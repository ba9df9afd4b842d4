#include "images/pictures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "common/usable_cores.hpp"
#include "images/bytes_to_floats.hpp"
#include "images/orientation.hpp"
#include "images/side_by_side.hpp"

namespace tutti::images {
namespace {

constexpr std::uint32_t kMostThreads = 16;

}  // namespace

std::uint32_t decode_threads(std::uint32_t wanted) {
  return wanted != 0 ? wanted : std::min(usable_cores(), kMostThreads);
}

std::string why_refused(const Error& error) {
  return error.detail().empty() ? error.message() : fmt::format("{}: {}", error.message(), error.detail());
}

Pictures::Pictures(const Resize& own, const Decoding& decoding)
    : own_(own),
      shape_(fixed_shape(own)),
      decoding_(decoding),
      planes_{own},
      hands_(decode_threads(decoding.threads)) {}

void Pictures::count_is_known() { unturned_ = std::vector<std::atomic<bool>>(count()); }

void Pictures::read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) {
  const std::size_t elements = shape_.elements();
  assert(pixels.size() == indices.size() * elements);
  side_by_side(hands_, indices.size(), [&](Hand& hand, std::size_t i) {
    hand.bytes.resize(elements);
    make(hand, indices[i], std::span(&own_, 1), [&](std::size_t) { return std::span(hand.bytes); });
    std::ranges::transform(hand.bytes, pixels.begin() + static_cast<std::ptrdiff_t>(i * elements),
                           [](std::uint8_t value) { return kUnitFloats[value]; });
  });
  fill_labels(indices, labels);
}

void Pictures::read_bytes(std::span<const std::uint64_t> indices, std::span<std::uint8_t> pixels,
                          std::span<std::int64_t> labels) {
  read_into(std::span(&own_, 1), indices, std::span(&pixels, 1), labels);
}

void Pictures::choose_planes(std::span<const Resize> asked) {
  planes_.clear();
  for (const Resize& one : asked) planes_.push_back(resize_of_picture(one, own_));
}

std::vector<ImageShape> Pictures::plane_shapes() const {
  std::vector<ImageShape> shapes;
  for (const Resize& plane : planes_) shapes.push_back(fixed_shape(plane));
  return shapes;
}

void Pictures::read_planes(std::span<const std::uint64_t> indices, std::span<const std::span<std::uint8_t>> planes,
                           std::span<std::int64_t> labels) {
  assert(planes.size() == planes_.size());
  read_into(planes_, indices, planes, labels);
}

std::uint64_t Pictures::take_unturned() {
  const auto met =
      static_cast<std::uint64_t>(std::ranges::count_if(unturned_, [](const auto& one) { return one.load(); }));
  return met - std::exchange(told_unturned_, met);
}

ImageShape Pictures::whole_size(std::uint64_t index, std::vector<std::byte>& room) const {
  const Bytes file = load(index, room);
  ImageShape size;
  explain(index, [&] { size = stored_size(file); });
  const std::uint8_t orientation = orientation_of(file);
  if (is_turned(file, orientation) && exchanges_sides(orientation)) std::swap(size.height, size.width);
  return size;
}

const DecodedImage& Pictures::decode_whole(std::uint64_t index) {
  Hand& hand = hands_.front();
  const Bytes file = load(index, hand.room);
  explain(index, [&] { decode_upright(hand, file, index, {}); });
  return hand.image;
}

void Pictures::read_into(std::span<const Resize> resizes, std::span<const std::uint64_t> indices,
                         std::span<const std::span<std::uint8_t>> planes, std::span<std::int64_t> labels) {
  std::vector<std::size_t> elements;
  for (std::size_t p = 0; p < resizes.size(); ++p) {
    elements.push_back(fixed_shape(resizes[p]).elements());
    assert(planes[p].size() == indices.size() * elements[p]);
  }
  side_by_side(hands_, indices.size(), [&](Hand& hand, std::size_t i) {
    make(hand, indices[i], resizes, [&](std::size_t p) { return planes[p].subspan(i * elements[p], elements[p]); });
  });
  fill_labels(indices, labels);
}

/// Decodes one picture, once, and makes every plane of it; `room_of(p)` is the memory for plane p.
template <class RoomOf>
void Pictures::make(Hand& hand, std::uint64_t index, std::span<const Resize> resizes, const RoomOf& room_of) {
  const Bytes file = load(index, hand.room);
  explain(index, [&] {
    decode_upright(hand, file, index, resizes);
    hand.planes.resize(std::max(hand.planes.size(), resizes.size()));
    for (std::size_t p = 0; p < resizes.size(); ++p) {
      Hand::Kept& kept = hand.planes[p];
      const std::pair wanted(hand.image.shape, resize_from_decoded(resizes[p], hand.image));
      if (!kept.resampler || kept.made_for != wanted) {
        kept.resampler.emplace(wanted.second, wanted.first);
        kept.made_for = wanted;
      }
      kept.resampler->apply_interleaved(hand.image.values(), room_of(p));
    }
  });
}

/// Does `work` with a picture; its errors name the picture.
template <class Work>
void Pictures::explain(std::uint64_t index, const Work& work) const {
  try {
    work();
  } catch (const Error& error) {
    throw refusal(index, why_refused(error));
  }
}

bool Pictures::is_turned(Bytes file, std::uint8_t orientation) const {
  return orientation != 1 && (decoding_.orientation == Orientation::exif || is_always_turned(file));
}

/// The stored picture is turned after it was decoded, so its sides may be exchanged when its scale is chosen.
void Pictures::decode_upright(Hand& hand, Bytes file, std::uint64_t index, std::span<const Resize> resizes) {
  const std::uint8_t orientation = orientation_of(file);
  const bool turned = is_turned(file, orientation);
  if (orientation != 1 && !turned) unturned_[index] = true;
  std::vector<Resize> decode_for;
  if (decoding_.jpeg_scaling) decode_for.assign(resizes.begin(), resizes.end());
  if (turned && exchanges_sides(orientation))
    for (Resize& resize : decode_for) std::swap(resize.height, resize.width);
  decode(file, decode_for, hand.image);
  if (turned) turn(hand.image, orientation, hand.turned);
}

void Pictures::fill_labels(std::span<const std::uint64_t> indices, std::span<std::int64_t> labels) const {
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = label_of(indices[i]);
}

}  // namespace tutti::images
