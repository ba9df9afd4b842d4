#include "worker/torch/answering_model.hpp"

#include <fmt/format.h>

#include <tutti/error.hpp>

namespace tutti::worker {

void AnsweringModel::refuse(std::string_view what) const {
  const std::string_view kind = kind_name(request().model);
  throw Error(ErrorKind::usage, fmt::format("{} {} member cannot be {}", kind.front() == 'a' ? "an" : "a", kind, what),
              paths_of(request().model).front().path, "train members of kind small-cnn or mlp, and leave this one out");
}

}  // namespace tutti::worker
