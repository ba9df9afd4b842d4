#include "common/wire/member_request.hpp"

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/counted.hpp"

namespace tutti {

ImageShape images_of(const MemberRequest& request) {
  const std::optional<ImageShape> shape = image_shape(request.seen());
  if (request.takes.size() == 1 && shape && request.seen().dtype == Dtype::float32) return *shape;
  throw Error(ErrorKind::usage,
              fmt::format("{} is a model of images: one tensor of float32, channels x height x width",
                          kind_name(request.model)),
              fmt::format("the member takes {}, the first one {} of {}", counted(request.takes.size(), "tensor"),
                          to_name(request.seen().dtype), dims_text(request.seen().dims)),
              "give it images, or use a torchscript member");
}

}  // namespace tutti
