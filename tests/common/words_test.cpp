// Names: those of enumerations, the nearest of several, and that of this build.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/build_id.hpp"
#include "common/counted.hpp"
#include "common/nearest.hpp"
#include "common/values.hpp"

namespace tutti::test {
namespace {

template <class Enum>
void check_names() {
  for (const auto& entry : enum_names(Enum{})) {
    CHECK(to_name(entry.value) == entry.name);
    CHECK(from_name<Enum>(entry.name) == entry.value);
  }
  CHECK_FALSE(from_name<Enum>("").has_value());
  CHECK_FALSE(from_name<Enum>("no such name").has_value());
  CHECK(to_name(static_cast<Enum>(200)) == "?");
}

TEST_CASE("every value has a name and every name a value") {
  check_names<OutputKind>();
  check_names<ClipOutput>();
  check_names<CombineRule>();
  check_names<FaultKind>();
  check_names<FaultPhase>();
  CHECK(to_name(CombineRule::most_confident) == "most_confident");
  CHECK(enum_names(CombineRule{}).size() == 9);
}

TEST_CASE("what is counted is singular for 1 and plural otherwise") {
  CHECK(counted(1, "image") == "1 image");
  CHECK(counted(0, "image") == "0 images");
  CHECK(counted(6000, "image") == "6000 images");
  CHECK(counted(1, "class") == "1 class");
  CHECK(counted(10, "class") == "10 classes");
  CHECK(counted(2, "batch") == "2 batches");
  CHECK(counted(2, "fake member") == "2 fake members");
}

TEST_CASE("the nearest word is the one with the fewest changes") {
  const std::vector<std::string> words{"segment_images", "batch_images", "slots", "seed"};
  CHECK(nearest("segment_image", words) == "segment_images");
  CHECK(nearest("bach_images", words) == "batch_images");
  CHECK(nearest("seeed", words) == "seed");
  CHECK(nearest("slots", words) == "slots");
}

TEST_CASE("no word is near to one that has little in common") {
  const std::vector<std::string> words{"members", "seed"};
  CHECK(nearest("assignment", words).empty());
  CHECK(nearest("xy", words).empty());
  CHECK(nearest("", words).empty());
  CHECK(nearest("seed", {}).empty());
}

TEST_CASE("of equally near words the first is proposed") {
  const std::vector<std::string> words{"cat", "bat"};
  CHECK(nearest("rat", words) == "cat");
}

TEST_CASE("this build has a name that begins with the version") {
  const std::string_view id = build_id();
  CHECK(id.starts_with(std::string(version()) + "-"));
  CHECK(id.size() == std::string_view(version()).size() + 17);
}

}  // namespace
}  // namespace tutti::test
