#include "config/input_labels.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

#include "common/resample.hpp"
#include "config/input.hpp"

namespace tutti::config {
namespace {

/// Any whole number that every type of labels could hold: it need not be a class.
constexpr NumberRule kLabel{
    "a whole number", [](double value) { return value == std::trunc(value) && std::fabs(value) <= 2147483647.0; }};

}  // namespace

void read_labels(Fields& fields, InputSpec& input, Violations& violations) {
  fields.path("labels", input.labels);
  const bool labelled = !input.labels.empty();
  if (input.dataset == Dataset::folder && labelled) fields.whole("classes", input.classes, 1, kMaxModelWidth);
  if (input.dataset == Dataset::folder && !labelled)
    fields.refuse("classes", "'classes' counts the classes of masks, but there are no 'labels'");
  const Tree* tree = fields.find("ignore_index");
  if (tree == nullptr) return;
  if (!labelled) {
    violations.add(tree->position, "'ignore_index' is a label that does not count, but there are no 'labels'");
    return;
  }
  if (const auto label = read_number(*tree, "'ignore_index'", kLabel, violations))
    input.ignore_index = static_cast<std::int64_t>(*label);
}

void set_label_form(InputSpec& input, const Tree* tree, const CombineSpec& combine, Violations& violations) {
  input.label_form = combine.label_form();
  if (input.label_form == LabelForm::classes || tree == nullptr) return;
  const std::string_view why = combine.over == OutputKind::values ? "over: values" : "activation: sigmoid";
  if (const Tree* ignored = tree->find("ignore_index"); ignored != nullptr)
    violations.add(ignored->position,
                   fmt::format("'ignore_index' marks places of masks of classes, and with '{}' there are none", why));
  const Tree* labels = tree->find("labels");
  if (labels != nullptr && tree->find("tiles") != nullptr)
    violations.add(labels->position,
                   fmt::format("the labels of 'tiles' are masks of classes, and with '{}' there are none; leave "
                               "'labels' out",
                               why));
}

void check_masks(const std::vector<ReadMember>& members, const InputSpec& input, Violations& violations) {
  if (!resizes_pictures(input) || input.labels.empty()) return;
  for (const ReadMember& member : members) {
    if (!member.sound || !member.spec.input) continue;
    Resize plane = resize_of_picture(member.spec.input->resize, input.resize);
    plane.interpolation = input.resize.interpolation;  // masks have no filter
    if (plane != input.resize)
      violations.add(member.position,
                     fmt::format("member '{}' sees pictures otherwise ({}) than their masks, 'labels', are resized "
                                 "({}); leave 'resize' and 'crop' out of its 'input'",
                                 member.spec.name, to_text(plane), to_text(input.resize)));
  }
}

}  // namespace tutti::config
