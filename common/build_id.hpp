// The identity of this build: coordinator, worker and plugins compare it before they exchange anything else.
#pragma once

namespace tutti {

/// Version and a hash over sources, compiler and flags: "0.1.0-3f8a...".
const char* build_id();
/// "0.1.0".
const char* version();

}  // namespace tutti
