#include "tests/integration/wide_pictures.hpp"

namespace tutti::test {

WidePictures::WidePictures() {
  for (const char* label : {"a", "b"}) {
    std::filesystem::create_directory(*this / label);
    for (const char* name : {"plain.png", "plain.jpg", "grey.jpg", "interlaced.png", "palette.png"})
      std::filesystem::copy_file(std::filesystem::path(TUTTI_ENCODED_IMAGES) / name, *this / label / name);
  }
}

}  // namespace tutti::test
