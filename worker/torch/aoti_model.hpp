// The member `aoti`: packages that AOTInductor made from a module, for any batch size or for fixed ones. It only
// predicts.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// Throws Error(usage) if a package cannot run here (see read_aoti_file), takes other images, or the member is on
/// CUDA. A package is a program: load only those that you trust.
std::unique_ptr<Model> make_aoti_model(const MemberRequest& request);

}  // namespace tutti::worker
