#include "worker/failure.hpp"

#include <new>
#include <utility>

namespace tutti::worker {

Error out_of_memory(std::string detail) {
  return Error(ErrorKind::failed, "out of memory", std::move(detail),
               "run fewer members on this machine, or lower 'batch_images', 'train.batch_images' or 'segment_images'");
}

control::Failure failure_of(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const Error*>(&error)) return control::failure_of(*ours);
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return control::failure_of(out_of_memory({}));
  return {error.what(), {}, false};
}

}  // namespace tutti::worker
