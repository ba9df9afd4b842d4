// What a process weighs, as /proc tells it.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string_view>

namespace tutti {

/// The proportional set size of a process in bytes: shared pages count in parts. Mappings whose line in
/// /proc/<pid>/smaps holds `but` are left out if that is not empty. Nothing if it cannot be read. Takes the kernel some
/// milliseconds.
std::optional<std::uint64_t> pss_bytes(int pid, std::string_view but = {});

/// The part of it that no file and no shared memory is behind: what the process allocated itself. Nothing if it cannot
/// be read.
std::optional<std::uint64_t> anonymous_bytes(int pid);

/// The same of the text of /proc/<pid>/smaps or smaps_rollup, from the lines that begin with `figure`.
std::uint64_t sum_pss(std::istream& smaps, std::string_view but = {}, std::string_view figure = "Pss:");

}  // namespace tutti
