// What to raise where the system refuses something for want of it.
#pragma once

#include <string>

namespace tutti {

/// The hint for an errno that means "too many": open files, processes. Empty for any other.
std::string limit_hint(int error);

}  // namespace tutti
