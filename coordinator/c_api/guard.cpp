#include "coordinator/c_api/guard.hpp"

#include <new>
#include <string>

#include <tutti/submit.hpp>

#include "common/build_id.hpp"
#include "coordinator/c_api/prepared_error.hpp"

namespace tutti::c_api {
namespace {

tutti_code code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
      return TUTTI_USAGE;
    case ErrorKind::interrupted:
      return TUTTI_INTERRUPTED;
    case ErrorKind::failed:
      break;
  }
  return TUTTI_FAILED;
}

HeldError held_error(const Error& error, tutti_code code) {
  return {code, error.message(), error.detail(), error.hint(), error.what()};
}

HeldError held_error(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const QueueFull& error) {
    return held_error(error, TUTTI_QUEUE_FULL);
  } catch (const Error& error) {
    return held_error(error, code_of(error.kind()));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    return held_error(Error(ErrorKind::failed, error.what()), TUTTI_FAILED);
  } catch (...) {
    return held_error(Error(ErrorKind::failed, "something that is not a std::exception was thrown"), TUTTI_FAILED);
  }
}

std::string abi_text(std::uint32_t abi) { return fmt::format("{}.{}", abi >> 16, abi & 0xffff); }

}  // namespace

void check_abi(std::uint32_t abi) {
  if (abi >> 16 == TUTTI_ABI_MAJOR && abi <= TUTTI_ABI) return;
  throw Error(ErrorKind::usage, "the program was compiled with the tutti.h of another version",
              fmt::format("its interface is {}, and that of this library (Tutti {}) is {}", abi_text(abi), version(),
                          abi_text(TUTTI_ABI)),
              "compile it with the header that was installed with this library, and pass TUTTI_ABI");
}

tutti_code put_error(std::exception_ptr thrown, tutti_error** error) noexcept {
  try {
    auto held = std::make_shared<HeldError>(held_error(thrown));
    const tutti_code code = held->code;
    if (error != nullptr) give(error, std::move(held));
    return code;
  } catch (...) {  // there is no memory, be it for the call or for its error
    if (error != nullptr) *error = prepared_error();
    return TUTTI_FAILED;
  }
}

}  // namespace tutti::c_api
