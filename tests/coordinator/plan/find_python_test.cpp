// The interpreter of a Python member is found, or the error says where it was looked for.
#include "coordinator/plan/find_python.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti {
namespace {

using test::contains;
using test::error_of;
namespace fs = std::filesystem;

config::MemberSpec member_with(const std::string& python) {
  config::MemberSpec member;
  member.name = "forest";
  member.model.kind = PythonModel{.factory = "m:make", .python = python};
  member.model.file_place.text = "e.yaml:3:7";
  return member;
}

void make_program(const fs::path& file) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << "#!/bin/sh\n";
  fs::permissions(file, fs::perms::owner_all);
}

TEST_CASE("a file and the folder of an environment name an interpreter whose link is kept") {
  const test::TemporaryFolder folder;
  make_program(folder / "real/python3.11");
  fs::create_directories(folder / "venv/bin");
  fs::create_symlink(folder / "real/python3.11", folder / "venv/bin/python3");
  const fs::path link = folder / "venv/bin/python3";
  CHECK(find_python(member_with(link.string())) == link);
  CHECK(find_python(member_with((folder / "venv").string())) == link);
  CHECK(find_python(config::MemberSpec{}).empty());
}

TEST_CASE("an interpreter that is not there is an error with the place and what to write") {
  const test::TemporaryFolder folder;
  const auto refusal = [&](const fs::path& python) {
    const auto error = error_of([&] { find_python(member_with(python.string())); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message().starts_with("e.yaml:3:7: forest: "));
    return *error;
  };
  CHECK(contains(refusal("no-such-python").message(), "there is no Python interpreter 'no-such-python' in PATH"));
  CHECK(contains(refusal(folder / "gone").message(), "there is no Python interpreter '"));
  CHECK(contains(refusal(folder / "gone").hint(), "such as .venv or .venv/bin/python"));
  fs::create_directories(folder / "empty");
  CHECK(contains(refusal(folder / "empty").message(), "' holds no Python interpreter"));
  CHECK(contains(refusal(folder / "empty").hint(), "make a virtual environment of it: python3 -m venv "));
  std::ofstream(folder / "text") << "x";
  CHECK(contains(refusal(folder / "text").message(), "is not a program that this user may start"));
}

}  // namespace
}  // namespace tutti
