#include "tests/integration/wide_pictures.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {

WidePictures::WidePictures() {
  for (const char* label : {"a", "b"}) {
    std::filesystem::create_directory(*this / label);
    for (const char* name : {"plain.png", "plain.jpg", "grey.jpg", "interlaced.png", "palette.png"})
      std::filesystem::copy_file(test::in_sources("tests/images/data/encoded") / name, *this / label / name);
  }
}

}  // namespace tutti::test
