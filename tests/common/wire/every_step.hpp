// A step of each kind, with values that are not the defaults. For tests only.
#pragma once

#include <vector>

#include "common/wire/rows.hpp"
#include "common/wire/steps.hpp"

namespace tutti::test {

/// The first six keep the number of rows, and fit predictions of 3x8x6.
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
                                .crop_rounding = CropRounding::floor}},
          CropBoxesStep{
              .max = 4,
              .above = 0.25F,
              .channels = 1,
              .resize = {.rule = ResizeRule::exact, .height = 6, .width = 5, .interpolation = Interpolation::bilinear}},
          ReduceStep{.by = ReduceBy::max, .empty = -1}};
}

/// Those of them that keep the number of rows.
inline std::vector<Step> steps_of_maps() {
  std::vector<Step> steps = unusual_steps();
  std::erase_if(steps, changes_rows);
  return steps;
}

}  // namespace tutti::test
