// Checkpoint files: what is written is read again, and errors name the reason.
#include "worker/checkpoint.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "common/nameless_file.hpp"
#include "common/system_limits.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/small_disk.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/worker/hosted.hpp"
#include "worker/fake.hpp"

namespace tutti::test {
namespace {

using worker::make_fake_model;
using worker::read_checkpoint;
using worker::write_checkpoint;

off_t size_of(const UniqueFd& fd) { return ::lseek(fd.get(), 0, SEEK_END); }

void learn(worker::Model& model, std::int64_t label) {
  const auto images = random_images(1);
  model.trainable()->train(images.data(), std::vector{label}, std::vector<std::uint32_t>{0, 0, 0});
}

std::vector<float> answer(worker::Model& model) {
  const auto images = random_images(2);
  const auto answer = model.probe(images.data(), 2);
  return {answer.begin(), answer.end()};
}

TEST_CASE("a member continues from a checkpoint as if nothing had happened") {
  const UniqueFd file = make_checkpoint_file();
  const auto undisturbed = make_fake_model(fake_request());
  undisturbed->trainable()->begin_training();
  learn(*undisturbed, 1);
  write_checkpoint(file.get(), fake_request(), *undisturbed->trainable(), 1ULL << 60);
  MemberRequest other = fake_request();
  other.seed = 5;  // all comes from the file
  const auto restored = make_fake_model(other);
  CHECK(read_checkpoint(file.get(), other, *restored->trainable()) == 1ULL << 60);
  CHECK(answer(*restored) == answer(*undisturbed));
  learn(*undisturbed, 2);
  learn(*restored, 2);
  CHECK(answer(*restored) == answer(*undisturbed));
}

TEST_CASE("a checkpoint replaces the whole content and nothing is left of a longer one") {
  const UniqueFd file = make_checkpoint_file();
  const auto model = make_fake_model(fake_request());
  write_checkpoint(file.get(), fake_request(), *model->trainable(), 1);
  const off_t bytes = size_of(file);
  const std::vector<char> noise(10'000, 'x');
  REQUIRE(::pwrite(file.get(), noise.data(), noise.size(), 0) == static_cast<ssize_t>(noise.size()));
  write_checkpoint(file.get(), fake_request(), *model->trainable(), 2);
  CHECK(size_of(file) == bytes);
  CHECK(read_checkpoint(file.get(), fake_request(), *model->trainable()) == 2);
}

/// Why a checkpoint in `file` is rejected to a member.
std::string refusal(const UniqueFd& file, const MemberRequest& member = fake_request()) {
  const auto model = make_fake_model(member);
  const auto before = answer(*model);
  const auto error = error_of([&] { read_checkpoint(file.get(), member, *model->trainable()); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "cannot continue from a checkpoint of '" + member.name + "'");
  CHECK(answer(*model) == before);
  return error->detail();
}

TEST_CASE("a checkpoint that was torn is refused wherever it was torn") {
  const UniqueFd file = make_checkpoint_file();
  write_checkpoint(file.get(), fake_request(), *make_fake_model(fake_request())->trainable(), 3);
  for (off_t bytes = size_of(file) - 1; bytes >= 0; --bytes) {
    REQUIRE(::ftruncate(file.get(), bytes) == 0);
    CHECK(contains(refusal(file), "the file is not a valid safetensors file: "));
  }
}

TEST_CASE("a checkpoint of another member is refused with its name and kind") {
  const UniqueFd file = make_checkpoint_file();
  write_checkpoint(file.get(), fake_request(), *make_fake_model(fake_request())->trainable(), 3);
  MemberRequest other = fake_request();
  other.name = "m1";
  CHECK(refusal(file, other) == "the file is a checkpoint of 'm0' (fake)");
  other = fake_request({.classes = 5, .faults = {}});
  CHECK(refusal(file, other) == "the state is not that of a fake member of 5 classes");
}

TEST_CASE("a file of weights is not a checkpoint") {
  const TemporaryFolder folder;
  make_fake_model(fake_request())->trainable()->save(folder / "w");
  const UniqueFd weights(::open((folder / "w").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(refusal(weights) == "the file is a checkpoint of 'nothing' (fake)");
}

TEST_CASE("a checkpoint that does not say its segment is refused") {
  const UniqueFd file = make_checkpoint_file();
  for (const char* said : {"", "x", "-1", "3 "}) {
    REQUIRE(::ftruncate(file.get(), 0) == 0);
    REQUIRE(::lseek(file.get(), 0, SEEK_SET) == 0);
    const auto append = [&](std::span<const std::byte> bytes) {
      REQUIRE(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    };
    merge::write_safetensors(append, "a test", {},
                             {{"member", "m0"}, {"kind", "fake"}, {"trained up to segment", said}});
    CHECK(refusal(file) == "the file has '" + std::string(said) + "' instead of a segment number");
  }
}

TEST_CASE("only a regular file can take a checkpoint") {
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto model = make_fake_model(fake_request());
  const auto error = error_of([&] { write_checkpoint(nothing.get(), fake_request(), *model->trainable(), 1); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::failed);
  CHECK(error->message() == "could not write a checkpoint of 'm0'");
  CHECK(error->detail() == "Invalid argument");
  CHECK(error->hint().empty());
}

TEST_CASE("a checkpoint beyond the limit of a file's size is an error that says to raise it") {
  const UniqueFd file = make_checkpoint_file();
  const auto model = make_fake_model(fake_request());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto error = error_of([&] { write_checkpoint(file.get(), fake_request(), *model->trainable(), 1); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  REQUIRE(error);
  CHECK(error->detail() == "File too large");
  CHECK(error->hint() == limit_hint(EFBIG));
}

/// Runs in a child. Exit status: 0 as wished, else what failed.
int fill_small_disk(const std::filesystem::path& folder) {
  if (!mount_small_disk(folder)) return kNoSmallDisk;
  const UniqueFd file = nameless_file(folder, O_RDWR);
  const MemberRequest member = fake_request({.classes = 1 << 18, .faults = {}});
  const auto error = error_of([&] { write_checkpoint(file.get(), member, *make_fake_model(member)->trainable(), 1); });
  if (!error || error->detail() != "No space left on device") return 1;
  return error->hint().starts_with("free space in " + folder.string() + ": each training member keeps two") ? 0 : 2;
}

TEST_CASE("a checkpoint on a full disk is an error that names the folder") {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(fill_small_disk(folder.path()));
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNoSmallDisk) {
    std::puts("SKIPPED: a small disk cannot be mounted here");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace tutti::test
