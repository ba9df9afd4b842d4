// How steady the machine itself is: a fixed piece of arithmetic whose time would always be the same on an otherwise
// idle machine.
#pragma once

#include <cstdint>

namespace tutti::bench {

/// Does the same multiplications on `threads` threads at once; seconds until the last is done, some 20 ms.
double time_fixed_arithmetic(std::uint32_t threads);

}  // namespace tutti::bench
