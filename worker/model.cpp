#include "worker/model.hpp"

#include <fmt/format.h>

#include <tutti/error.hpp>

namespace tutti::worker {

Trainable& trainable_part(Model& model, const MemberRequest& request, std::string_view what) {
  if (Trainable* const part = model.trainable(); part != nullptr) return *part;
  const std::string_view kind = kind_name(request.model);
  const std::vector<NamedPath> paths = paths_of(request.model);
  throw Error(ErrorKind::usage, fmt::format("{} {} member cannot be {}", kind.front() == 'a' ? "an" : "a", kind, what),
              paths.empty() ? "" : paths.front().path,
              "train members of kind small-cnn or mlp, and leave this one out");
}

}  // namespace tutti::worker
