// Which GPUs CUDA_VISIBLE_DEVICES leaves, and that the search works without a GPU.
#include "coordinator/plan/gpus.hpp"

#include <doctest/doctest.h>

namespace tutti::test {
namespace {

const std::vector<Gpu> kAll{{0, "GPU-aaaa-0", "A", 100}, {1, "GPU-bbbb-1", "B", 200}, {2, "GPU-cccc-2", "C", 300}};

/// The names of what is visible, in order.
std::string visible(const char* value) {
  std::string names;
  int index = 0;
  for (const Gpu& gpu : visible_gpus(kAll, value)) {
    CHECK(gpu.index == index++);
    names += gpu.name;
  }
  return names;
}

TEST_CASE("without a choice every GPU is visible") { CHECK(visible(nullptr) == "ABC"); }

TEST_CASE("numbers choose and order GPUs") {
  CHECK(visible("1") == "B");
  CHECK(visible("2,0") == "CA");
  CHECK(visible("0,1,2") == "ABC");
}

TEST_CASE("the beginning of a uuid chooses a GPU") {
  CHECK(visible("GPU-bbbb") == "B");
  CHECK(visible("GPU-cccc-2,0") == "CA");
  CHECK(visible("GPU-").empty());
}

TEST_CASE("a MIG instance is visible under its own name") {
  const auto gpus = visible_gpus(kAll, "MIG-dddd,0");
  REQUIRE(gpus.size() == 2);
  CHECK(gpus[0].uuid == "MIG-dddd");
  CHECK(gpus[0].name == "MIG instance");
  CHECK(gpus[1].name == "A");
  CHECK(gpus[1].index == 1);
}

TEST_CASE("an empty choice and an unknown first name hide every GPU") {
  CHECK(visible("").empty());
  CHECK(visible("-1").empty());
  CHECK(visible("7").empty());
  CHECK(visible("NoDevFiles").empty());
}

TEST_CASE("what follows an unknown name is hidden as in CUDA") { CHECK(visible("1,9,0") == "B"); }

TEST_CASE("if no GPU is found the reason is given") {
  std::string why;
  const auto gpus = find_gpus(why);
  CHECK(gpus.empty() != why.empty());
}

}  // namespace
}  // namespace tutti::test
