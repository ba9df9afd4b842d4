#include "coordinator/decide/fault_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "common/counted.hpp"

namespace tutti {
namespace {

constexpr std::string_view kWas = "was ";

/// "killed by SIGKILL"
std::string_view short_end(std::string_view how) { return how.starts_with(kWas) ? how.substr(kWas.size()) : how; }

/// "was killed by SIGKILL"
std::string long_end(std::string_view how) {
  return fmt::format("{}{}", how.starts_with("killed") ? kWas : std::string_view(), how);
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// What the coordinator did after it had found the fault.
std::string killed(const WorkerFault& fault) {
  return fault.stuck ? "does not end even after SIGKILL (its pid is in the report)" : "was killed";
}

std::string late(const WorkerFault& fault) {
  return fmt::format("{} was not ready within {} s", fault.place, fault.seconds);
}

std::string hung(const WorkerFault& fault) {
  return fmt::format("{} made no progress for {:.1f} s{} and {}", fault.place, fault.seconds, fault.where,
                     killed(fault));
}

std::string lied(const WorkerFault& fault) { return fmt::format("{} broke the protocol: {}", fault.place, fault.text); }

std::string died(const WorkerFault& fault) {
  // "died while starting: ..." but "died: ... on segment 17".
  const bool segment = fault.where.starts_with(" on ");
  return fmt::format("{} died{}: {}{}{}", fault.place, segment ? "" : fault.where, short_end(fault.text),
                     segment ? fault.where : "", fault.out_of_memory ? " (out of memory)" : "");
}

std::string line_as_told(const WorkerFault& fault) {
  switch (fault.kind) {
    case WorkerFault::Kind::died:
      return died(fault);
    case WorkerFault::Kind::failed:
      return fmt::format("{} failed{}: {}", fault.place, fault.where, fault.text);
    case WorkerFault::Kind::not_started:
      return fmt::format("{}: {}{}", fault.place, fault.text,
                         fault.detail.empty() ? "" : fmt::format(" ({})", fault.detail));
    case WorkerFault::Kind::late:
      return fmt::format("{}; it {}", late(fault), killed(fault));
    case WorkerFault::Kind::hung:
      return hung(fault);
    case WorkerFault::Kind::lied:
      return fmt::format("{}; it {}", lied(fault), killed(fault));
  }
  return fault.place;
}

std::string message_of(const WorkerFault& fault) {
  switch (fault.kind) {
    case WorkerFault::Kind::died:
      return fmt::format("{} died{}: it {}{}", fault.place, fault.where, long_end(fault.text),
                         fault.out_of_memory ? " (out of memory)" : "");
    case WorkerFault::Kind::failed:
      return fmt::format("{} failed{}: {}", fault.place, fault.where, fault.text);
    case WorkerFault::Kind::not_started:
      return fault.text;
    case WorkerFault::Kind::late:
      return late(fault);
    case WorkerFault::Kind::hung:
      return hung(fault);
    case WorkerFault::Kind::lied:
      return lied(fault);
  }
  return fault.place;
}

}  // namespace

std::string line_of(const WorkerFault& fault) { return one_line(line_as_told(fault)); }

std::string hint_of(const WorkerFault& fault) {
  if (!fault.hint.empty()) return fault.hint;
  if (fault.out_of_memory)
    return "raise the memory limit, lower 'batch_images', 'segment_images' or 'slots', or run fewer members at a time";
  switch (fault.kind) {
    case WorkerFault::Kind::late:
      return "raise 'start_deadline_s' if loading and warm-up take that long";
    case WorkerFault::Kind::hung:
      return "raise 'progress_deadline_s' if one batch takes that long";
    case WorkerFault::Kind::lied:
      return "its memory may be corrupted; report it if it happens again";
    default:
      return {};
  }
}

Error error_of(const WorkerFault& fault, const std::string& advice) {
  const std::string hint = hint_of(fault);
  const bool killed_by_us = fault.kind == WorkerFault::Kind::late || fault.kind == WorkerFault::Kind::lied;
  return Error(fault.usage ? ErrorKind::usage : ErrorKind::failed, message_of(fault),
               killed_by_us ? fmt::format("the worker {}", killed(fault)) : fault.detail,
               fmt::format("{}{}{}", hint, hint.empty() || advice.empty() ? "" : "; ", advice));
}

std::string segment_text(std::uint64_t index, std::uint32_t segment_images, std::uint32_t images) {
  const std::uint64_t first = index * segment_images;
  return fmt::format("segment {} (images {} to {})", index, first, first + images - 1);
}

std::string segments_text(std::size_t count) { return counted(count, "segment"); }

}  // namespace tutti
