// The nearest of several names, for "did you mean" in messages.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tutti {

/// The candidate with the smallest edit distance to `word`, or empty if none is near (more than a third of the
/// longer one's letters differ, and more than 2).
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace tutti
