// Whether the views of members fit their images and their models, as far as the description tells. Pure.
#pragma once

#include <cstddef>
#include <optional>

#include "common/views.hpp"
#include "config/members.hpp"
#include "config/spec.hpp"

namespace tutti::config {

/// Adds a violation if images of `shape`, which the member sees, do not have one of its views, or its model cannot
/// predict it.
void check_views(const ReadMember& member, const ImageShape& shape, Violations& violations);

/// Which view shows images of another size than the first, although the model takes one size only.
struct OtherSize {
  std::size_t view = 0;
  ViewProblem problem;
};
std::optional<OtherSize> other_size(const MemberSpec& member, const ImageShape& shape);

/// False, with a violation, if a member with views takes anything but one image of float32.
bool takes_viewed_images(const ReadMember& member, const InputSpec& input, Violations& violations);

}  // namespace tutti::config
