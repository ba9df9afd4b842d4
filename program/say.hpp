// Prints what the program has to say. Printing must never end a run: a full disk or a closed terminal is not a reason
// to lose results.
#pragma once

#include <cstdio>
#include <string_view>

namespace tutti::program {

/// Writes and flushes; errors stay in ferror(stream), and nothing is thrown.
void say(std::FILE* stream, std::string_view text) noexcept;

}  // namespace tutti::program
