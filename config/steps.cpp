#include "config/steps.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "config/input.hpp"
#include "config/input_pictures.hpp"
#include "config/reader.hpp"

namespace tutti::config {
namespace {

constexpr std::string_view kStep = "step";

std::vector<std::string> step_names() {
  std::vector<std::string> names;
  for (const Step& step : every_step()) names.emplace_back(step_name(step));
  return names;
}

/// The keys that a step has in YAML.
std::vector<std::string_view> keys_of(const Step& step) {
  std::vector<std::string_view> keys;
  for_each_step_field(step, [&]<class Form>(std::string_view key, const auto&, const Form&) {
    if constexpr (std::is_same_v<Form, form::Resizing>)
      keys.insert(keys.end(), kResizeKeys.begin(), kResizeKeys.end());
    else
      keys.push_back(key);
  });
  return keys;
}

void refuse_keys_of_other_steps(Fields& fields, const Step& step) {
  const std::vector<std::string_view> own = keys_of(step);
  for (const Step& other : every_step())
    for (const std::string_view key : keys_of(other)) {
      if (std::ranges::find(own, key) != own.end()) continue;
      std::vector<std::string> names;
      for (const Step& one : every_step())
        if (std::ranges::count(keys_of(one), key) > 0) names.emplace_back(step_name(one));
      if (names.front() == step_name(other))  // once
        fields.refuse(key, fmt::format("'{}' belongs to {}, not to {}", key, one_of(names), step_name(step)));
    }
}

/// Reads one field of a step, depending on its form.
struct StepReader {
  Fields& fields;
  Violations& violations;

  void operator()(std::string_view key, std::int32_t& axis, const form::Axis&) const {
    const Tree* tree = fields.find(key);
    if (tree == nullptr) return;
    if (const auto read = read_number(*tree, fmt::format("'{}'", key), kAxis, violations))
      axis = static_cast<std::int32_t>(*read);
  }
  void operator()(std::string_view key, std::uint32_t& value, const form::Whole& whole) const {
    fields.whole(key, value, whole.least, whole.most);
  }
  template <class Enum>
  void operator()(std::string_view key, Enum& value, const form::Choice&) const {
    fields.choice(key, value);
  }
  void operator()(std::string_view key, float& value, const form::Number&) const {
    auto number = static_cast<double>(value);
    fields.number(key, number, kFloat);
    value = static_cast<float>(number);
  }
  void operator()(std::string_view key, std::vector<float>& values, const form::Channels& channels) const {
    values = read_channels(fields, key, channels.positive, violations);
  }
  void operator()(std::string_view, Resize& resize, const form::Resizing&) const {
    read_resize(fields, resize, std::nullopt, violations);
  }
};

}  // namespace

bool is_step(const Tree& entry) { return entry.kind == Tree::Kind::scalar || entry.find(kStep) != nullptr; }

std::optional<StepSpec> read_step(const Tree& entry, Violations& violations) {
  const std::vector<std::string> names = step_names();
  std::optional<Step> step;
  const std::size_t before = violations.count();
  if (entry.kind == Tree::Kind::scalar) {
    step = step_called(entry.scalar);
    if (!step)
      violations.add(entry.position, fmt::format("a step must be {}, not {}{}; a stage is a map with 'model'",
                                                 one_of(names), describe(entry), did_you_mean(entry.scalar, names)));
  } else {
    Fields fields(entry, "a step", violations);
    fields.require(kStep, one_of(names));
    if (const auto word = fields.one_of_words(kStep, names)) step = step_called(*word);
    if (!step) return std::nullopt;  // without its name no key can be checked
    fields.refuse("model", "an entry of 'stages' has a 'model' or is a 'step', not both; make it two entries");
    for (const char* key : {"device", "replicas", "same_bits"})
      fields.refuse(key, fmt::format("a step runs in the workers of the stage before it; give '{}' to that", key));
    for_each_step_field(*step, StepReader{fields, violations});
    refuse_keys_of_other_steps(fields, *step);
    fields.finish();
  }
  if (violations.count() != before) return std::nullopt;
  if (std::string clash = clash_in(*step); !clash.empty()) {
    violations.add(entry.position, std::move(clash));
    return std::nullopt;
  }
  return StepSpec{*step, {entry.position.text()}};
}

std::optional<Dims> check_steps(const std::vector<StepSpec>& steps, std::span<const SourcePosition> positions,
                                std::optional<Dims> dims, const std::string& stage, Violations& violations) {
  for (std::size_t s = 0; s < steps.size(); ++s) {
    if (dims) {
      const StepOutput output = output_of(steps[s].step, *dims);
      if (!output.problem.empty()) {
        violations.add(positions[s], fmt::format("behind '{}', {}; {}", stage,
                                                 misfit_text(steps[s].step, *dims, output), output.hint));
        return std::nullopt;
      }
    }
    dims = dims_behind(std::span(&steps[s].step, 1), dims);
  }
  return dims;
}

std::vector<Step> plain_steps(const std::vector<StepSpec>& steps) {
  std::vector<Step> plain;
  for (const StepSpec& step : steps) plain.push_back(step.step);
  return plain;
}

std::optional<OutputKind> output_of_steps(const MemberSpec& member) {
  const auto fixed = facts_of(member.model.kind).output;
  return meaning_behind(plain_steps(member.steps), fixed ? std::optional(fixed->kind) : std::nullopt);
}

std::optional<Dims> known_prediction(const MemberSpec& member) {
  return dims_behind(plain_steps(member.steps), facts_of(member.model.kind).prediction());
}

}  // namespace tutti::config
