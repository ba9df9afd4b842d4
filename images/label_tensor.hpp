// Labels that are not one class per image, from an array (images/arrays.hpp): masks of classes, numbers to predict,
// several labels. Whether they fit the predictions is for the code that compares them.
#pragma once

#include <functional>
#include <memory>

#include <tutti/images.hpp>

#include "images/sources.hpp"

namespace tutti::images {

/// Whether there are labels, and they are not one class per image: numbers and several labels always, classes if the
/// array has whole numbers and more than one for each image. Throws Error(usage) if there is no such array.
bool is_label_tensor(const LabelFile& labels);

/// `source`, which has no labels, with those of a file: int64 for classes (from uint8, int32, int64 or bool), float32
/// otherwise (from these, float32 or float64). Its count is that of the images. Every label is checked here, before
/// anything runs: Error(usage) that names the file if a class is negative or not below `classes`, if a number is not
/// finite in float32, if one of several labels is neither 0 nor 1.
std::unique_ptr<Source> with_label_tensor(std::unique_ptr<Source> source, const LabelFile& labels);

/// What `open` opens, with labels of any form: one class per image is for `open` to read.
std::unique_ptr<Source> with_labels(const LabelFile& labels,
                                    const std::function<std::unique_ptr<Source>(ReadLabels)>& open);

}  // namespace tutti::images
