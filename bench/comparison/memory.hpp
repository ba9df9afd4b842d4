// What a process weighs without the memory that all strategies hold alike.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string_view>

namespace tutti::bench {

/// The proportional set size in bytes of a process as /proc/<pid>/smaps tells it, mappings named `but` left out.
/// Nothing where it cannot be read.
std::optional<std::uint64_t> pss_bytes_but(int pid, std::string_view but);
/// The same of the text of such a file.
std::uint64_t sum_pss(std::istream& smaps, std::string_view but);

}  // namespace tutti::bench
