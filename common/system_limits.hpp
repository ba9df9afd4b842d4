// Which limit to raise if the system refuses a resource.
#pragma once

#include <string>

namespace tutti {

/// The hint for an errno that means "too many": open files, processes. Empty for any other.
std::string limit_hint(int error);

}  // namespace tutti
