// The program dump-planes, for tests/python: writes the planes of all pictures of a folder to its standard output,
// plane after plane of each picture, as bytes in CHW order. A plane is named as
// RULE,HEIGHT,WIDTH,CROP_HEIGHT,CROP_WIDTH, INTERPOLATION,CROP_ROUNDING. `turn` as the second argument applies the EXIF
// orientation, `reduce` decodes large JPEGs at a part of their size.
#include <cstdio>
#include <numeric>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "images/sources.hpp"

namespace {

using namespace tutti;

Resize resize_of(const std::string& text) {
  std::istringstream in(text);
  const auto word = [&in] {
    std::string one;
    std::getline(in, one, ',');
    return one;
  };
  const auto number = [&] { return static_cast<std::uint32_t>(std::stoul(word())); };
  Resize resize;
  resize.rule = from_name<ResizeRule>(word()).value();
  resize.height = number();
  resize.width = number();
  resize.crop_height = number();
  resize.crop_width = number();
  resize.interpolation = from_name<Interpolation>(word()).value();
  resize.crop_rounding = from_name<CropRounding>(word()).value();
  return resize;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Resize> planes;
  for (int i = 3; i < argc; ++i) planes.push_back(resize_of(argv[i]));
  images::FolderReading reading;
  const std::string_view how = argv[2];
  reading.decoding.orientation = how == "turn" ? Orientation::exif : Orientation::ignore;
  reading.decoding.jpeg_scaling = how == "reduce";
  const auto source = images::make_folder(argv[1], planes.front(), reading);
  source->choose_planes(planes);
  std::vector<std::vector<std::uint8_t>> pictures;
  std::vector<std::span<std::uint8_t>> places;
  for (const ImageShape& shape : source->plane_shapes()) pictures.emplace_back(source->count() * shape.elements());
  for (auto& plane : pictures) places.emplace_back(plane);
  std::vector<std::uint64_t> indices(source->count());
  std::iota(indices.begin(), indices.end(), std::uint64_t{0});
  source->read_planes(indices, places, {});
  for (const std::uint64_t index : indices)
    for (std::size_t p = 0; p < planes.size(); ++p) {
      const std::size_t elements = source->plane_shapes()[p].elements();
      std::fwrite(pictures[p].data() + index * elements, 1, elements, stdout);
    }
  return 0;
}
