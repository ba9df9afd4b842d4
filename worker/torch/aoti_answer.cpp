#include "worker/torch/aoti_answer.hpp"

#include <tutti/error.hpp>

#include "common/json.hpp"
#include "worker/torch/entry.hpp"

namespace tutti::worker {
namespace {

/// The last part of a name such as "transformers.modeling_outputs.BaseModelOutput".
std::string last_word(std::string_view type) { return std::string(type.substr(type.rfind('.') + 1)); }

const json::array* children_of(const json::object& node) {
  const json::value* type = node.if_contains("type");
  const json::value* children = node.if_contains("children_spec");
  return type != nullptr && type->is_string() && children != nullptr && children->is_array() ? &children->get_array()
                                                                                             : nullptr;
}

std::size_t leaves_of(const json::value& node) {
  const json::array* children = node.is_object() ? children_of(node.get_object()) : nullptr;
  if (children == nullptr) return 1;
  std::size_t sum = 0;
  for (const json::value& child : *children) sum += leaves_of(child);
  return sum;
}

/// The keys of a dict: its context is a JSON list inside a JSON text.
std::vector<std::string> names_of(const json::object& node, std::size_t count) {
  std::vector<std::string> names;
  const json::value* context = node.if_contains("context");
  if (context != nullptr && context->is_string()) {
    const json::value parsed = parse_json(context->get_string(), "the names of the outputs");
    if (parsed.is_array())
      for (const json::value& name : parsed.get_array())
        names.push_back(name.is_string() ? std::string(name.get_string()) : json::serialize(name));
  }
  if (names.size() != count) names.clear();
  for (std::size_t i = names.size(); i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

AnswerForm form_of(const json::object& node) {
  AnswerForm form;
  const json::array* children = children_of(node);
  if (children == nullptr) return form;
  form.type = last_word(node.at("type").get_string());
  const std::vector<std::string> names = names_of(node, children->size());
  for (std::size_t i = 0; i < children->size(); ++i) {
    const json::value& child = (*children)[i];
    const bool nested = child.is_object() && children_of(child.get_object()) != nullptr;
    form.items.push_back(
        {names[i], nested ? last_word(child.get_object().at("type").get_string()) : std::string(), leaves_of(child)});
  }
  return form;
}

}  // namespace

AnswerForm answer_form(std::string_view spec) {
  if (spec.empty()) return {};
  try {
    const json::value parsed = parse_json(spec, "the form of the output");
    const json::array* parts = parsed.if_array();
    if (parts == nullptr || parts->size() != 2 || !(*parts)[1].is_object()) return {};
    return form_of((*parts)[1].get_object());
  } catch (const Error&) {
    return {};
  }
}

at::Tensor chosen_outputs(const AnswerForm& form, const std::vector<at::Tensor>& outputs,
                          const std::vector<std::string>& names, std::vector<NamedLayout>& parts) {
  if (form.type.empty() && outputs.size() == 1) {
    if (!names.empty()) refuse_entry_of_tensor(names.front());
    return outputs.front();
  }
  std::vector<AnswerEntry> entries;
  std::size_t place = 0;
  for (const AnswerForm::Item& item : form.items) {
    const bool tensor = item.type.empty() && place < outputs.size();
    entries.push_back({item.name, tensor ? outputs[place] : at::Tensor(), item.type});
    place += item.leaves;
  }
  if (place != outputs.size()) {  // the form was not understood: outputs are named by their places
    entries.clear();
    for (const at::Tensor& output : outputs) entries.push_back({std::to_string(entries.size()), output, "Tensor"});
  }
  return chosen_entries(entries, names, form.type.empty() ? "tuple" : form.type, parts);
}

}  // namespace tutti::worker
