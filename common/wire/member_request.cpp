#include "common/wire/member_request.hpp"

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/counted.hpp"

namespace tutti {

namespace {

std::optional<ImageShape> only_images(const MemberRequest& request) {
  if (request.takes.size() != 1 || request.seen().dtype != Dtype::float32) return std::nullopt;
  return image_shape(request.seen());
}

std::string taken_text(const MemberRequest& request) {
  return fmt::format("the member takes {}, the first one {} of {}", counted(request.takes.size(), "tensor"),
                     to_name(request.seen().dtype), dims_text(request.seen().dims));
}

}  // namespace

ImageShape images_of(const MemberRequest& request) {
  if (const auto shape = only_images(request)) return *shape;
  throw Error(ErrorKind::usage,
              fmt::format("{} is a model of images: one tensor of float32, channels x height x width",
                          kind_name(request.model)),
              taken_text(request), "give it images, or use a torchscript member");
}

ImageShape viewed_images(const MemberRequest& request) {
  if (const auto shape = only_images(request)) return *shape;
  throw Error(ErrorKind::usage, "'views' are of images: one tensor of float32, channels x height x width",
              taken_text(request), "leave 'views' out, or set 'views: []' at this member");
}

}  // namespace tutti
