// What a worker says of an exception that ends it or one of its commands: the words for the user, in one place.
#pragma once

#include <exception>
#include <string>

#include <tutti/error.hpp>

#include "common/wire/control.hpp"

namespace tutti::worker {

/// The error of a worker that was refused memory; `detail` says by whom and for what, and may be empty.
Error out_of_memory(std::string detail);

/// An Error with its detail and hint, a std::bad_alloc as out_of_memory(), anything else by its what().
control::Failure failure_of(const std::exception& error);

}  // namespace tutti::worker
