// The error of a call for which there was no memory: it takes none, exists always, and is freed by doing nothing.
#pragma once

#include <tutti/tutti.h>

namespace tutti::c_api {

tutti_error* prepared_error() noexcept;

}  // namespace tutti::c_api
