// What the program prints. Printing must never end a run: a full disk or a closed terminal behind stderr is no reason
// to lose results.
#pragma once

#include <cstdio>
#include <string_view>

namespace tutti::program {

/// Writes and flushes; errors stay in ferror(stream), nothing is thrown.
void say(std::FILE* stream, std::string_view text) noexcept;

}  // namespace tutti::program
