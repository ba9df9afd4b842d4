#include "common/counted.hpp"

#include <fmt/format.h>

namespace tutti {

std::string counted(std::uint64_t count, std::string_view what) {
  const bool hisses = what.ends_with('s') || what.ends_with("ch");  // classes, batches
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : hisses ? "es" : "s");
}

}  // namespace tutti
