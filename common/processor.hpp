// The processor's name, for reports and rows.
#pragma once

#include <string>

namespace tutti {

/// "Intel(R) Xeon(R) Processor"; empty if the kernel does not say.
std::string processor_name();

}  // namespace tutti
