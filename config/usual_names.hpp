// What people type who know other tools: `batch_size`, `device`, `average`. They are not accepted, but messages name
// Tutti's word for them.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tutti::config {

/// The candidate that is meant by a usual name; empty if the word is none, or none of its meanings is a candidate.
std::string usual_name(std::string_view word, std::span<const std::string> candidates);

/// For a key that belongs to another map: "; devices are written in 'assignment' at the top level". Empty for others.
std::string_view place_of_usual_name(std::string_view word);

}  // namespace tutti::config
