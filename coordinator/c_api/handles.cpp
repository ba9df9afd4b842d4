#include "coordinator/c_api/handles.hpp"

#include <fmt/format.h>

#include <string_view>
#include <unordered_map>
#include <utility>

#include <tutti/error.hpp>

#include "common/mutex.hpp"

namespace tutti::c_api {
namespace {

/// Handles have this bit and no higher one: no address of a program on x86-64 has it, so reading what a handle "points
/// to" always ends the program at once.
constexpr std::uintptr_t kMark = std::uintptr_t{1} << 62;
constexpr unsigned kKindBits = 4;

struct KindText {
  std::string_view type;
  std::string_view from;  ///< what gives such a handle
};

KindText text_of(Kind kind) {
  switch (kind) {
    case Kind::error:
      return {"tutti_error", "what a function put into its last argument"};
    case Kind::spec:
      return {"tutti_spec", "what tutti_spec_load() or tutti_spec_parse() gave"};
    case Kind::ensemble:
      return {"tutti_ensemble", "what tutti_ensemble_create() gave"};
    case Kind::predictions:
      return {"tutti_predictions", "what a function that predicts gave"};
    case Kind::text:
      return {"tutti_text", "what tutti_ensemble_status() or tutti_ensemble_health() gave"};
    case Kind::stop:
      return {"tutti_stop", "what tutti_stop_create() gave"};
    case Kind::lease:
      break;
  }
  return {"tutti_lease", "what tutti_lease_create() gave"};
}

class Table {
 public:
  std::uintptr_t add(Kind kind, std::shared_ptr<void> object) {
    const MutexLock lock(mutex_);
    const std::uintptr_t handle = kMark | (next_ << kKindBits) | static_cast<std::uintptr_t>(kind);
    live_.emplace(handle, std::move(object));
    ++next_;
    return handle;
  }

  std::shared_ptr<void> find(Kind kind, std::uintptr_t handle, const char* function) {
    const MutexLock lock(mutex_);
    return place(kind, handle, function)->second;
  }

  std::shared_ptr<void> take(Kind kind, std::uintptr_t handle, const char* function) {
    const MutexLock lock(mutex_);
    const auto found = place(kind, handle, function);
    std::shared_ptr<void> object = std::move(found->second);
    live_.erase(found);
    return object;
  }

 private:
  using Live = std::unordered_map<std::uintptr_t, std::shared_ptr<void>>;

  Live::iterator place(Kind kind, std::uintptr_t handle, const char* function) TUTTI_REQUIRES(mutex_) {
    const auto found = live_.find(handle);
    if (found != live_.end() && kind_of(handle) == kind) return found;
    throw Error(ErrorKind::usage, fmt::format("{}() was given {}", function, describe(kind, handle)), {},
                fmt::format("pass {}, until it is freed", text_of(kind).from));
  }

  static Kind kind_of(std::uintptr_t handle) { return static_cast<Kind>(handle & ((1U << kKindBits) - 1)); }

  /// What is not a live handle of the wanted kind.
  std::string describe(Kind wanted, std::uintptr_t handle) const TUTTI_REQUIRES(mutex_) {
    const std::string_view type = text_of(wanted).type;
    if (handle == 0) return fmt::format("NULL instead of a {}", type);
    const std::uintptr_t number = (handle & ~kMark) >> kKindBits;
    const auto kind = static_cast<unsigned>(kind_of(handle));
    const bool ours = (handle & kMark) != 0 && number >= kFirst && number < next_ &&
                      kind >= static_cast<unsigned>(Kind::error) && kind <= static_cast<unsigned>(Kind::lease);
    if (!ours) return fmt::format("a pointer that is not from this library instead of a {}", type);
    if (kind_of(handle) != wanted) return fmt::format("a {} instead of a {}", text_of(kind_of(handle)).type, type);
    return fmt::format("a {} that was freed already", type);
  }

  static constexpr std::uintptr_t kFirst = 1;

  Mutex mutex_;
  std::uintptr_t next_ TUTTI_GUARDED_BY(mutex_) = kFirst;
  Live live_ TUTTI_GUARDED_BY(mutex_);
};

/// Never destroyed: at the end of a program, threads may still use what it did not free.
Table& table() {
  static Table* const all = new Table;
  return *all;
}

std::uintptr_t number_of(const void* handle) { return reinterpret_cast<std::uintptr_t>(handle); }

}  // namespace

std::uintptr_t add_handle(Kind kind, std::shared_ptr<void> object) { return table().add(kind, std::move(object)); }

std::shared_ptr<void> find_handle(Kind kind, const void* handle, const char* function) {
  return table().find(kind, number_of(handle), function);
}

std::shared_ptr<void> take_handle(Kind kind, const void* handle, const char* function) {
  return table().take(kind, number_of(handle), function);
}

}  // namespace tutti::c_api
