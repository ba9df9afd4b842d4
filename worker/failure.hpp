// The messages that a worker sends about an exception that ends it or one of its commands, in one place.
#pragma once

#include <exception>
#include <string>

#include <tutti/error.hpp>

#include "common/wire/control.hpp"
#include "common/wire/model_kinds.hpp"

namespace tutti::worker {

/// The error of a worker that got no memory; `detail` says from whom and for what, and may be empty.
Error out_of_memory(std::string detail);

/// The error of a model whose predictions are not a function of the image: `what` it does, and `why`, which may be
/// empty. `kind`: what to do about it differs.
Error unsteady(std::string what, std::string why, const KindFacts& kind);

/// The error of weights that hold NaN or infinity: `file` that they are in, and the first `tensor` that does.
Error not_finite(const std::string& file, const std::string& tensor);

/// An Error with its detail and hint, a std::bad_alloc as out_of_memory(), any other exception with its what().
control::Failure failure_of(const std::exception& error);

}  // namespace tutti::worker
