// A library that the user installs and Tutti opens at run time: where it is looked for, and what is said if it is not
// there.
#pragma once

#include <string_view>
#include <vector>

namespace tutti::worker {

struct UserLibrary {
  std::string_view name;      ///< "ONNX Runtime"
  std::string_view variable;  ///< of the environment: names its file, or a folder that holds it
  std::string_view file;      ///< how the name of its file begins: "libonnxruntime.so"
  /// Where it is in such a folder; the first place that has it counts.
  std::vector<std::string_view> places;
  /// The names by which the system is asked for it if the variable is not set.
  std::vector<std::string_view> system_names;
  std::string_view hint;  ///< how to install and name it
};

/// The open library, as dlopen() returns it; it stays open. Throws Error(failed) if it is not found, or cannot be
/// opened; who needs it is known to the caller.
void* open_user_library(const UserLibrary& library);

/// A function of it. Throws Error(failed) if the library is another one and does not have it.
void* function_of(void* open, const char* function, const UserLibrary& library);

}  // namespace tutti::worker
