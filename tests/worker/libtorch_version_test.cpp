// A LibTorch of another version is refused by what it says about itself, before any of it is loaded.
#include "worker/libtorch_version.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::worker {
namespace {

/// A LibTorch of which nothing is there but the file that tells its version.
struct ToldLibtorch {
  ToldLibtorch(const std::string& file, const std::string& text) {
    std::filesystem::create_directories(folder / "lib");
    std::ofstream(folder / file) << text;
  }
  std::optional<Error> error(std::string_view wanted = "2.11.0") const {
    return test::error_of([&] { check_libtorch_version(folder / "lib", wanted); });
  }
  test::TemporaryFolder folder;
};

TEST_CASE("the LibTorch that the plugins were built with is taken, for whatever devices it is") {
  for (const char* text : {"__version__ = '2.11.0+cu130'\n", "debug = False\n__version__: str = \"2.11.0\"\n"})
    CHECK_FALSE(ToldLibtorch("version.py", text).error());
  CHECK_FALSE(ToldLibtorch("build-version", "2.11.0+cpu\n").error());
}

TEST_CASE("a LibTorch of another version is named with both versions and what to install") {
  for (const ToldLibtorch& told : {ToldLibtorch("version.py", "from typing import Any\n__version__ = '2.9.1+cpu'\n"),
                                   ToldLibtorch("build-version", "2.9.1\n")}) {
    const auto error = told.error();
    REQUIRE(error);
    CHECK(error->message().find("is of version 2.9.1, and this Tutti was built with 2.11.0") != std::string::npos);
    CHECK(error->message().find(told.folder.path().filename().string()) != std::string::npos);
    CHECK(error->hint() == "install that one: pip install 'torch==2.11.0'; or build Tutti with this LibTorch");
  }
}

TEST_CASE("a LibTorch that does not tell its version is left to the loader") {
  CHECK_FALSE(ToldLibtorch("other", "").error());
  CHECK_FALSE(ToldLibtorch("version.py", "__version__ = version()\n").error());
  CHECK_FALSE(ToldLibtorch("version.py", "__version__ = '2.9.1'\n").error(""));
}

}  // namespace
}  // namespace tutti::worker
