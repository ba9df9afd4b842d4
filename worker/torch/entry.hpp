// Chooses the tensor to use if a model outputs a tuple, a list or a dict: the entry that the member's `output` names.
// Not the model; it knows no images.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <tutti/tensor.hpp>

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

/// The tensor that the only one of `names` names. Of several, a row of the values of all for each sample: in the order
/// of the names, each as it is in memory; `parts` then gets their names and sizes. Throws like chosen_entry(), and
/// Error(usage) if their numbers of samples differ, or one does not hold floats.
at::Tensor chosen_entries(std::span<const AnswerEntry> entries, const std::vector<std::string>& names,
                          std::string_view what, std::vector<NamedLayout>& parts);
/// The same for the output of TorchScript. A single tensor has no entries: naming one is an error too.
at::Tensor chosen_entries(const c10::IValue& answer, const std::vector<std::string>& names,
                          std::vector<NamedLayout>& parts);

/// Throws the same Error for an output that is one tensor, if `output` names something.
void refuse_entry_of_tensor(const std::string& output);

}  // namespace tutti::worker
