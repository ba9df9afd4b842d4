// How many cores this process can keep busy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace tutti {

/// Whole cores, at least one, that so many are worth if a cgroup grants `quota` cores' worth of time.
std::uint32_t cores_worth(std::size_t cores, const std::optional<double>& quota);

/// Those that this process may run on, as far as its cgroups grant it time for them.
std::uint32_t usable_cores();

}  // namespace tutti
