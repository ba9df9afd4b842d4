// "1 image", "2 images", "3 classes": a count and what it counts, for messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tutti {

/// `count` and `what`, a regular English noun in the singular, which becomes a plural unless `count` is 1. Of several
/// words the last one changes: counted(2, "free slot").
std::string counted(std::uint64_t count, std::string_view what);

}  // namespace tutti
