// Chooses the tensor to use if a model outputs a tuple, a list or a dict: the entry that the member's `output` names.
// Not the model; it knows no images.
#pragma once

#include <span>
#include <string>

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

namespace tutti::worker {

/// One item of an output.
struct AnswerEntry {
  std::string name;   ///< a key, a field's name, or the place from 0
  at::Tensor tensor;  ///< undefined if it is not a tensor
  std::string type;   ///< "Tensor", "Tuple", ...
};

/// The tensor that `output` names, by its name or its place ("0"). Throws Error(usage) that lists the items, with the
/// nearest name: nothing is named, there is no such item, or the item is not a tensor. `what` is the output's type
/// ("Tuple").
at::Tensor chosen_entry(std::span<const AnswerEntry> entries, const std::string& output, std::string_view what);

/// The same for the output of TorchScript. A single tensor has no entries: naming one is an error too.
at::Tensor chosen_entry(const c10::IValue& answer, const std::string& output);

/// Throws the same Error for an output that is one tensor, if `output` names something.
void refuse_entry_of_tensor(const std::string& output);

}  // namespace tutti::worker
