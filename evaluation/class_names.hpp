// Whether the classes of images are those of a task: compared by name, if both have names. Only names reveal that the
// folders of a data set sort in a different order than the classes of the task. Reads no image.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tutti/images.hpp>

namespace tutti {

/// What was found about the classes of a source.
struct ClassMatch {
  std::vector<std::uint32_t> labels;  ///< for each class of the source, the task's label; empty: no change
  std::vector<std::string> others;    ///< "'AnnualCrop' for 'annual crop land'": classes that are matched by position
};

/// `there` are the classes of the images, `wanted` those of the task, each in the order of its labels. Two names are
/// equal if their letters and digits are, ignoring case and how accents are encoded (`_` counts as a blank); a leading
/// number in `there` (`003-fox`) is ignored. If every name is found, labels are matched by name, in any order. If some
/// have other names, and every name that is found is at its position, classes are matched by position. Otherwise throws
/// Error(usage), whose message names `images` ("the images of task 't'") and has `names` for what names the classes.
ClassMatch match_classes(const std::vector<std::string>& there, const std::vector<std::string>& wanted,
                         const std::string& images, const std::string& names = "the task");

/// `source` with the names and labels of the task; unchanged if `wanted` is empty. Logs if labels are matched by name
/// in a different order, and which classes are matched by position. Throws like match_classes(), and if the source has
/// more classes than `wanted`.
std::unique_ptr<Source> with_task_classes(std::unique_ptr<Source> source, const std::vector<std::string>& wanted,
                                          const std::string& images, const std::string& names = "the task");

}  // namespace tutti
