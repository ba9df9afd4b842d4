// Devices as users write them. The code that starts workers checks whether a device exists.
#pragma once

#include <string_view>

#include "config/spec.hpp"

namespace tutti::config {

/// Core numbers are below this, the most that Linux itself can be built for.
constexpr int kMaxCores = 8192;

/// "cpu", "cpu:0-3", "cpu:0,8", "cpu:0-3,8", "cuda" (the first one), "cuda:1", "cuda:GPU-<uuid>", "cuda:MIG-<uuid>",
/// "null" or "auto"; a number k is cuda:k, and -1 the CPU. Throws Error(usage) that says what to write.
Device parse_device(std::string_view text);

}  // namespace tutti::config
