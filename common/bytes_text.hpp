// A number of bytes in words.
#pragma once

#include <cstdint>
#include <string>

namespace tutti {

/// "6.1 MB", in powers of 1 000.
std::string bytes_text(std::uint64_t bytes);

}  // namespace tutti
