// The handles of the C API: numbers in the form of pointers, and the table of those that are alive. A handle is not the
// address of anything. Its number is never used again, so the table knows with certainty whether a pointer that a
// program passes is a live handle, one that was freed, one of another type, or something else.
#pragma once

#include <cstdint>
#include <memory>

#include <tutti/tutti.h>

namespace tutti::c_api {

/// What a handle stands for: its lowest bits.
enum class Kind : std::uint8_t { error = 1, spec, ensemble, predictions, text, stop, lease };

/// The number of a new handle, which holds `object` until take_handle(). Thread-safe, like all functions here.
std::uintptr_t add_handle(Kind kind, std::shared_ptr<void> object);
/// The object of a live handle. It stays alive as long as the result, even if the handle is freed meanwhile. Throws
/// Error(usage) with the name of `function` for everything else.
std::shared_ptr<void> find_handle(Kind kind, const void* handle, const char* function);
/// The same, and the handle is not alive any more.
std::shared_ptr<void> take_handle(Kind kind, const void* handle, const char* function);

/// What a type of handle holds. Specialised in objects.hpp.
template <class Handle>
struct Held;

template <class Handle>
Handle* new_handle(std::shared_ptr<typename Held<Handle>::Object> object) {
  // An integer that is never dereferenced. NOLINTNEXTLINE(performance-no-int-to-ptr)
  return reinterpret_cast<Handle*>(add_handle(Held<Handle>::kind, std::move(object)));
}

template <class Handle>
std::shared_ptr<typename Held<Handle>::Object> object_of(const Handle* handle, const char* function) {
  return std::static_pointer_cast<typename Held<Handle>::Object>(find_handle(Held<Handle>::kind, handle, function));
}

/// Nothing for NULL, which is freed by doing nothing.
template <class Handle>
std::shared_ptr<typename Held<Handle>::Object> take_object(const Handle* handle, const char* function) {
  if (handle == nullptr) return nullptr;
  return std::static_pointer_cast<typename Held<Handle>::Object>(take_handle(Held<Handle>::kind, handle, function));
}

}  // namespace tutti::c_api
