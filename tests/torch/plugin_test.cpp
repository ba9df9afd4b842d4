// Tests of libtutti-torch.so as a program without LibTorch meets it: opened at run time, errors across the border.
#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <string>

#include "common/build_id.hpp"
#include "tests/common/error_of.hpp"
#include "tests/support/places.hpp"
#include "tests/torch/plugin.hpp"
#include "tests/torch/requests.hpp"

namespace tutti::worker {
namespace {

const Backend& torch_backend() {
  std::string problem;
  const Backend* const backend = test::open_plugin(test::kTorchPlugin, problem);
  if (backend == nullptr) FAIL(problem);
  return *backend;
}

TEST_CASE("the plugin says who it is") {
  const Backend& backend = torch_backend();
  CHECK(std::string(backend.name) == "torch");
  CHECK(std::string(backend.build_id) == build_id());
  CHECK(std::string(backend.version) == TUTTI_LIBTORCH_VERSION);
}

TEST_CASE("a model of the plugin predicts") {
  auto model = torch_backend().make(test::request_for(SmallCnnModel{}));
  const std::vector<float> images = test::some_images(4);
  CHECK(test::answers(*model, images, 4, 4).size() == 40);
}

TEST_CASE("an error of the plugin is caught with its kind by a program without LibTorch") {
  const auto error = test::error_of([] { torch_backend().make(test::request_for(SmallCnnModel{0})); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "small-cnn needs at least one class");
}

TEST_CASE("one OpenMP runtime is loaded") {
  torch_backend();
  std::ifstream maps("/proc/self/maps");
  std::set<std::string> runtimes;
  for (std::string line; std::getline(maps, line);)
    for (const char* name : {"libgomp", "libomp", "libiomp"})
      if (line.find(name) != line.npos) runtimes.insert(line.substr(line.find('/')));
  CHECK(runtimes.size() == 1);
}

}  // namespace
}  // namespace tutti::worker
