// The backend for members of kind `python`, in a process that is an interpreter. What is done in Python, around the
// user's code, is in tutti_member.py.
#pragma once

#include "worker/backend_loader.hpp"

struct _object;  // NOLINT: of Python

namespace tutti::worker {

/// Members are made by calling this function of tutti_member.py with a description; it lives as long as the process.
void make_python_models_with(_object* load);

/// Imports the member's module, calls its factory, and asks what it has loaded. Throws Error that says what is wrong
/// with them, and out_of_memory(); of kind `usage` if it is surely the description.
LoadedModel make_python_model(const MemberRequest& request);

}  // namespace tutti::worker
