// Whether the classes of images are those of a task: by their names, where both have some. Of folders whose names sort
// otherwise than the task counts its classes nothing else would tell. It reads no image.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tutti/images.hpp>

namespace tutti::program {

/// What was found of the classes of a source.
struct ClassMatch {
  std::vector<std::uint32_t> labels;  ///< of each class the task's label; empty: they stay as they are
  std::vector<std::string> others;    ///< "'AnnualCrop' for 'annual crop land'": classes that go by their place
};

/// `there` are the classes of the images, `wanted` those of the task, each in the order of its labels. Names are the
/// same where their letters and digits are (in the composed form of Unicode), in upper or lower case (`_` counts as a blank); of `there` a leading number
/// (`003-fox`) does not count. Where every name is found, labels go by name, whatever the order. Where some are called
/// otherwise, and no name that is found stands at another place, they go by their place. Throws Error(usage) for the
/// rest, which `images` ("the images of task 't'") begins.
ClassMatch match_classes(const std::vector<std::string>& there, const std::vector<std::string>& wanted,
                         const std::string& images);

/// `source` with the names and labels of the task; as it is where `wanted` is empty. Says in the log where labels go by
/// name in another order, and which classes go by their place. Throws as match_classes() does, and where the source
/// has more classes than are wanted.
std::unique_ptr<Source> with_task_classes(std::unique_ptr<Source> source, const std::vector<std::string>& wanted,
                                          const std::string& images);

}  // namespace tutti::program
