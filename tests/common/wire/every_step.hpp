// A step of each kind, with values that are not the defaults. For tests only.
#pragma once

#include <vector>

#include "common/wire/steps.hpp"

namespace tutti::test {

/// They fit predictions of 3x8x6.
inline std::vector<Step> unusual_steps() {
  return {SoftmaxStep{.axis = -1},
          NormalizeStep{.mean = {0.5F, 1, -2}, .std = {0.1F}},
          L2NormalizeStep{.axis = 2},
          ThresholdStep{.above = -1.25F},
          TopKStep{.k = 3, .give = TopKGives::indices, .axis = 2},
          ResizeStep{.resize = {.rule = ResizeRule::exact,
                                .height = 5,
                                .width = 9,
                                .crop_height = 4,
                                .crop_width = 4,
                                .interpolation = Interpolation::bilinear,
                                .crop_rounding = CropRounding::floor}}};
}

}  // namespace tutti::test
