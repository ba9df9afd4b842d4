// What a user can raise if the system refuses something because a limit is reached.
#pragma once

#include <string>

namespace tutti {

/// The hint for an errno that stands for a limit: on open files, on processes and threads, on the size of a file. Empty
/// for any other; what helps against want of memory or disk space depends on what it was for.
std::string limit_hint(int error);

/// The same for a call that makes a process, a thread, memory or a descriptor, and needs no permission: if it is
/// refused as forbidden or unknown, a container or the kernel is to blame.
std::string refusal_hint(int error);

}  // namespace tutti
