#include "worker/checkpoint.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <map>
#include <string>
#include <system_error>

#include <tutti/error.hpp>

#include "common/kill_point.hpp"
#include "common/system_limits.hpp"
#include "common/wire/control.hpp"
#include "merge/safetensors.hpp"

namespace tutti::worker {
namespace {

constexpr const char* kMember = "member";
constexpr const char* kKind = "kind";
constexpr const char* kSegment = "trained up to segment";

/// What the user can do about a failed write.
std::string hint_for(int fd, int code, std::uint64_t bytes) {
  std::error_code unknown;
  const auto file = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd), unknown);
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return fmt::format("free space in {}: each training member keeps two checkpoints there, of more than {} bytes",
                         file.parent_path().string(), bytes);
    default:
      return limit_hint(code);
  }
}

/// Overwrites a checkpoint's file from its beginning.
class Replacement {
 public:
  Replacement(int fd, const std::string& member) : fd_(fd), member_(member) {
    if (::ftruncate(fd_, 0) != 0) fail();
  }

  void write(std::span<const std::byte> bytes) {
    const bool first = at_ == 0;
    while (!bytes.empty()) {
      const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at_));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      at_ += static_cast<std::uint64_t>(written);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    if (first) kill_point("worker.checkpoint_begun");
  }

 private:
  [[noreturn]] void fail() const {
    const int code = errno;
    throw Error(ErrorKind::failed, fmt::format("could not write a checkpoint of '{}'", member_),
                std::generic_category().message(code), hint_for(fd_, code, at_));
  }

  int fd_;
  const std::string& member_;
  std::uint64_t at_ = 0;
};

/// The segment in the file, after a check that the file is this member's.
std::uint64_t checked_segment(const merge::Safetensors& file, const MemberRequest& member) {
  const auto text = [&](const char* key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? std::string("nothing") : found->second;
  };
  if (text(kMember) != member.name || text(kKind) != kind_name(member.model))
    throw Error(ErrorKind::failed, fmt::format("the file is a checkpoint of '{}' ({})", text(kMember), text(kKind)));
  std::uint64_t segment = 0;
  const std::string number = text(kSegment);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), segment);
  if (error != std::errc{} || end != number.data() + number.size())
    throw Error(ErrorKind::failed, fmt::format("the file has '{}' instead of a segment number", number));
  return segment;
}

}  // namespace

void write_checkpoint(int fd, const MemberRequest& member, Trainable& model, std::uint64_t segment) {
  const std::map<std::string, std::string> metadata{
      {kMember, member.name}, {kKind, std::string(kind_name(member.model))}, {kSegment, std::to_string(segment)}};
  model.lend_state([&](std::span<const merge::TensorView> state) {
    Replacement file(fd, member.name);
    merge::write_safetensors([&](std::span<const std::byte> bytes) { file.write(bytes); },
                             fmt::format("a checkpoint of '{}'", member.name), state, metadata);
  });
}

std::uint64_t read_checkpoint(int fd, const MemberRequest& member, Trainable& model) {
  try {
    const auto file = merge::Safetensors::read(fd, "the file");
    const std::uint64_t segment = checked_segment(file, member);
    model.take_state(file);
    return segment;
  } catch (const Error& error) {
    throw Error(ErrorKind::failed, fmt::format("cannot continue from a checkpoint of '{}'", member.name),
                control::failure_of(error).text);
  }
}

}  // namespace tutti::worker
