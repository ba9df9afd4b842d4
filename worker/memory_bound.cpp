#include "worker/memory_bound.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include <tutti/error.hpp>

#include "common/bytes_text.hpp"
#include "common/process_memory.hpp"

namespace tutti::worker {
namespace {

constexpr std::chrono::seconds kBetweenLooks{1};

void check_held(std::uint64_t most, std::string_view when, std::string_view hint) {
  const auto held = anonymous_bytes(::getpid());
  if (held && *held > most)
    throw Error(
        ErrorKind::failed,
        fmt::format("the worker holds {}{}, more than 'max_memory' ({})", bytes_text(*held), when, bytes_text(most)),
        {}, std::string(hint));
}

}  // namespace

std::uint64_t memory_bound(std::span<const MemberRequest* const> members) {
  std::uint64_t sum = 0;
  for (const MemberRequest* const member : members) {
    if (member->max_memory == 0) return 0;
    sum += member->max_memory;
  }
  return sum;
}

void MemoryBound::check_loaded() const {
  if (most_ != 0) check_held(most_, " once it is loaded", "raise 'max_memory' of the member");
}

void MemoryBound::check() {
  if (most_ == 0) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kBetweenLooks;
  check_held(most_, "", "raise 'max_memory' of the member, or find what it keeps from one batch to the next");
}

}  // namespace tutti::worker
