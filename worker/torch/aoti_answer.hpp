// What the outputs of an AOTInductor package mean: it answers a flat list of tensors, and a text in JSON says of which
// tuple or dict they were the leaves (torch.utils._pytree.treespec_dumps).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

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

/// Of a text that is not understood, or none: one tensor by itself.
AnswerForm answer_form(std::string_view spec);

/// The output that `entry` names. Throws as chosen_entry() does.
at::Tensor chosen_output(const AnswerForm& form, const std::vector<at::Tensor>& outputs, const std::string& entry);

}  // namespace tutti::worker
