// What the outputs of an AOTInductor package mean: it returns a flat list of tensors, and a JSON text describes the
// tuple or dict whose leaves they are (torch.utils._pytree.treespec_dumps).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include <tutti/tensor.hpp>

namespace tutti::worker {

struct AnswerForm {
  struct Item {
    std::string name;
    std::string type;        ///< empty: a tensor
    std::size_t leaves = 1;  ///< outputs that it consists of
  };
  std::string type;         ///< "tuple", "dict", "BaseModelOutput"; empty: one tensor by itself
  std::vector<Item> items;  ///< in the order of the outputs
};

/// If the text is missing or not understood, the form is a single tensor.
AnswerForm answer_form(std::string_view spec);

/// The outputs that `names` names. As chosen_entries().
at::Tensor chosen_outputs(const AnswerForm& form, const std::vector<at::Tensor>& outputs,
                          const std::vector<std::string>& names, std::vector<NamedLayout>& parts);

}  // namespace tutti::worker
