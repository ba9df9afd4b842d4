// Which tensor of a model's answer counts, if the answer is a tuple, a list or a dict of several: the entry that the
// member's `output` names. Not the model; it knows no images.
#pragma once

#include <span>
#include <string>

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

namespace tutti::worker {

/// One item of an answer.
struct AnswerEntry {
  std::string name;   ///< a key, a field's name, or the place from 0
  at::Tensor tensor;  ///< undefined if it is none
  std::string type;   ///< "Tensor", "Tuple", ...
};

/// The tensor that `output` names; an item with a name may also be had by its place ("0"). Throws Error(usage) that
/// lists what there is, with the nearest name: nothing is named, no such item, an item that is no tensor. `what` is the
/// answer's type ("Tuple").
at::Tensor chosen_entry(std::span<const AnswerEntry> entries, const std::string& output, std::string_view what);

/// The same of what TorchScript answers. A tensor by itself has nothing to choose from: naming an entry of it is an
/// error too.
at::Tensor chosen_entry(const c10::IValue& answer, const std::string& output);

/// Throws the Error of above for an answer that is one tensor, if `output` names something.
void refuse_entry_of_tensor(const std::string& output);

}  // namespace tutti::worker
