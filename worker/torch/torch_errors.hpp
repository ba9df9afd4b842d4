// LibTorch's exceptions as messages for the user: short, without C++ backtraces.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <tutti/error.hpp>

#include "worker/failure.hpp"

namespace tutti::worker {

/// At most about a thousand characters of `text`: its beginning and its end, because LibTorch puts the reason last.
std::string shortened(std::string_view text);

/// LibTorch's message of `error`, shortened, without the C++ backtrace.
std::string reason_of(const std::exception& error);

/// Whether LibTorch, or C++ itself, ran out of memory on the CPU or on a GPU.
bool is_out_of_memory(const std::exception& error);

/// Calls `work`; an exception of LibTorch becomes Error(kind, message, its reason, hint), or, if memory ran out,
/// out_of_memory(message and reason). An Error passes through.
template <class Work>
auto explained(ErrorKind kind, std::string_view message, std::string_view hint, Work work) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    if (is_out_of_memory(error)) throw out_of_memory(fmt::format("{} ({})", message, reason_of(error)));
    throw Error(kind, std::string(message), reason_of(error), std::string(hint));
  }
}

}  // namespace tutti::worker
