#include "worker/failure.hpp"

#include <new>
#include <utility>

namespace tutti::worker {

Error out_of_memory(std::string detail) {
  return Error(ErrorKind::failed, "out of memory", std::move(detail),
               "run fewer members on this machine, or lower 'batch_images', 'train.batch_images' or 'segment_images'");
}

Error unsteady(std::string what, std::string why, const KindFacts& kind) {
  const bool python = kind.weights == WeightsFrom::factory;
  std::string hint =
      python
          ? "switch dropout and the like off in the factory (model.eval()), and keep nothing from one call to the next"
          : "call model.eval() before you trace, script or compile the model, and export it again";
  if (python || kind.weights == WeightsFrom::module)
    hint += "; 'random: true' in 'model' is for models that do this on purpose";
  return Error(ErrorKind::usage, std::move(what), std::move(why), std::move(hint));
}

Error not_finite(const std::string& file, const std::string& tensor) {
  return Error(ErrorKind::usage, "'" + file + "' holds NaN or infinity", "first in '" + tensor + "'",
               "the training that wrote these weights may have diverged: train again with a lower 'learning_rate', or "
               "name other weights");
}

control::Failure failure_of(const std::exception& error) {
  if (const auto* ours = dynamic_cast<const Error*>(&error)) return control::failure_of(*ours);
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return control::failure_of(out_of_memory({}));
  return {error.what(), {}, false};
}

}  // namespace tutti::worker
