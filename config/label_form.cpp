#include "config/label_form.hpp"

#include <fmt/format.h>

namespace tutti::config {

void set_label_form(InputSpec& input, const Tree* tree, const CombineSpec& combine, Violations& violations) {
  input.label_form = combine.label_form();
  if (input.label_form == LabelForm::classes || !input.ignore_index) return;
  if (const Tree* ignored = tree != nullptr ? tree->find("ignore_index") : nullptr; ignored != nullptr)
    violations.add(ignored->position,
                   fmt::format("'ignore_index' marks places of masks of classes, and with '{}' there are none",
                               combine.over == OutputKind::values ? "over: values" : "activation: sigmoid"));
}

}  // namespace tutti::config
