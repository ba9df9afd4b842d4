// Plugins that are missing, are not plugins, or are from another build: the worker's message reaches the user.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

/// A separate installation: the worker, and next to it the file that it loads as the LibTorch plugin.
struct Installation {
  explicit Installation(const fs::path& plugin = {}) {
    fs::create_directories(folder / "bin");
    fs::copy(worker_program(), worker());
    if (!plugin.empty()) fs::copy(plugin, this->plugin());
  }
  fs::path worker() const { return folder / "bin/tutti-worker"; }
  fs::path plugin() const { return folder / "bin/libtutti-torch.so"; }
  /// The error of a member that needs the plugin.
  Error error() const {
    auto spec = fake_spec(1);
    spec.members[0].model.kind = MlpModel{{4}};
    const auto error = start_error(spec, with_worker(worker().string()));
    REQUIRE(error);
    return *error;
  }
  TemporaryFolder folder;
};

TEST_CASE("a member that needs LibTorch is refused if the plugin is not installed") {
  const Error error = Installation().error();
  CHECK(error.message() ==
        "m0 on cpu failed while starting: cannot run a member of kind 'mlp' with 'backend: torch': libtutti-torch.so "
        "is not installed");
  CHECK(contains(error.hint(), "TUTTI_WITH_TORCH"));
}

TEST_CASE("a plugin that cannot be opened is named with the reason") {
  const Installation installation;
  std::ofstream(installation.plugin()) << "no library";
  const Error error = installation.error();
  CHECK(error.message().starts_with("m0 on cpu failed while starting: cannot open " + installation.plugin().string() +
                                    ": "));
  CHECK(contains(error.hint(), "TUTTI_LIBTORCH"));
}

TEST_CASE("a library that is not a backend is refused") {
  const Installation installation(test::kNoPlugin);
  CHECK(installation.error().message().starts_with(
      "m0 on cpu failed while starting: " + installation.plugin().string() + " is not a backend of Tutti"));
}

TEST_CASE("a plugin from another build is refused with both builds") {
  const Installation installation(test::kForeignPlugin);
  const Error error = installation.error();
  CHECK(error.message().starts_with("m0 on cpu failed while starting: " + installation.plugin().string() +
                                    " belongs to another build of Tutti: plugin 0.0.0-anotherbuild, worker "));
  CHECK(error.hint() == "build or install Tutti again");
}

}  // namespace
}  // namespace tutti::test
