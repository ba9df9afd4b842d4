#include "config/checks.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "common/axis.hpp"
#include "common/counted.hpp"
#include "common/resample.hpp"
#include "common/weight_sum.hpp"
#include "config/input.hpp"
#include "config/input_labels.hpp"
#include "config/rules.hpp"
#include "config/stages.hpp"
#include "config/steps.hpp"
#include "config/view_checks.hpp"

namespace tutti::config {
namespace {

/// Values per image that a member outputs, if the configuration alone tells it; otherwise 0.
std::uint32_t known_width(const MemberSpec& member) {
  const auto prediction = known_prediction(member);
  return prediction ? static_cast<std::uint32_t>(elements_of(*prediction)) : 0;
}

void check_over(const CombineSpec& combine, const SourcePosition& position, Violations& violations) {
  if (needs_classes(combine.rule) && !has_classes(combine.over))
    violations.add(position, fmt::format("rule {} decides between classes and cannot combine {}; use mean, sum, "
                                         "weighted, max, median or none",
                                         to_name(combine.rule), to_name(combine.over)));
  else if ((combine.rule == CombineRule::vote || combine.rule == CombineRule::most_confident) &&
           combine.activation == Activation::sigmoid)
    violations.add(position, fmt::format("rule {} decides for one class, and with 'activation: sigmoid' several labels "
                                         "may be right; use mean, weighted, max, median or geometric_mean",
                                         to_name(combine.rule)));
  else if (combine.rule == CombineRule::geometric_mean && combine.over != OutputKind::probabilities)
    violations.add(position, "rule geometric_mean is defined over probabilities only; logits may be negative");
}

void check_output(const ReadMember& member, const CombineSpec& combine, Violations& violations) {
  const OutputKind answers = member.spec.output;
  const bool activated = answers == OutputKind::logits && combine.over == OutputKind::probabilities &&
                         combine.activation != Activation::none;
  if (answers == combine.over || activated) return;
  if (answers == OutputKind::logits && combine.over == OutputKind::probabilities)
    return violations.add(
        member.position,
        fmt::format("member '{}' outputs logits, and 'activation: none' makes no probabilities of them; say "
                    "'output: probabilities' if it outputs those, or leave 'activation' out",
                    member.spec.name));
  const bool features = !has_classes(answers);
  const auto fixed = facts_of(member.spec.model.kind).output;
  const std::string_view for_logits = features && fixed ? fixed->for_logits : "";
  violations.add(member.position,
                 fmt::format("member '{}' outputs {}, which cannot be combined over {}; set combine: {{over: {}}}{}",
                             member.spec.name, to_name(answers), to_name(combine.over),
                             features ? to_name(answers) : std::string_view("probabilities"),
                             for_logits.empty() ? "" : fmt::format(", or {} in its 'model'", for_logits)));
}

void check_widths(const std::vector<ReadMember>& members, Violations& violations) {
  const ReadMember* first = nullptr;
  for (const ReadMember& member : members) {
    const std::uint32_t width = member.sound ? known_width(member.spec) : 0;
    if (width == 0) continue;
    if (first == nullptr) first = &member;
    const std::uint32_t wanted = known_width(first->spec);
    if (width != wanted)
      violations.add(member.position,
                     fmt::format("member '{}' outputs {} but member '{}' outputs {}; only rule none takes both",
                                 member.spec.name, counted(width, "class"), first->spec.name, wanted));
  }
}

/// The classes that are compared are along an axis of the predictions, as far as these are known.
void check_axis(const ReadMember& member, const CombineSpec& combine, const SourcePosition& position,
                Violations& violations) {
  const auto prediction = known_prediction(member.spec);
  if (!prediction || !has_classes(combine.over) || combine.activation == Activation::sigmoid) return;
  if (size_at(*prediction, combine.axis)) return;
  violations.add(position,
                 fmt::format("member '{}' predicts {}, which has no axis {} with classes; 1 is the first axis "
                             "after the sample, -1 the last",
                             member.spec.name, dims_text(*prediction), combine.axis));
}

/// Several outputs of a model become a row of numbers, which has no classes and no image that could be turned.
void check_joined(const ReadMember& member, const CombineSpec& combine, Violations& violations) {
  if (entries_of(member.spec.model.kind).size() < 2) return;
  if (has_classes(combine.over))
    violations.add(member.entries,
                   fmt::format("member '{}' joins several outputs into one row of numbers, which cannot be combined "
                               "over {}; name one output, or set combine: {{over: values}}",
                               member.spec.name, to_name(combine.over)));
  if (!member.spec.views.empty())
    violations.add(member.views.front(), fmt::format("member '{}' joins several outputs into one row of numbers, and "
                                                     "those of views cannot be turned back; name one output, or set "
                                                     "'views: []' at this member",
                                                     member.spec.name));
}

/// Why a sum that is not 0 cannot be a divisor.
std::string_view rounding_note(const WeightSum& sum) {
  return sum.total != 0 && std::isfinite(sum.total) ? " (only a rounding error: the weights cancel)" : "";
}

void check_weights(const std::vector<ReadMember>& members, const CombineSpec& combine, const SourcePosition& position,
                   Violations& violations) {
  std::vector<float> weights;  // as the accumulator has them
  bool complete = true;
  bool refused = false;
  for (const ReadMember& member : members) {
    complete = complete && member.sound;
    weights.push_back(static_cast<float>(member.spec.weight));
    const bool negative = member.spec.weight < 0 && combine.rule != CombineRule::weighted;
    refused = refused || negative;
    if (negative)
      violations.add(member.position, fmt::format("member '{}' has the negative weight {}, but only the combine rule "
                                                  "weighted takes negative weights; for a merge "
                                                  "set 'weights' of 'merge'",
                                                  member.spec.name, member.spec.weight));
  }
  if (!complete || refused) return;
  const bool divides = combine.rule == CombineRule::weighted && combine.normalize;
  const WeightSum sum = weight_sum(weights, combine.accumulate_f64);
  if (divides && !sum.divides)
    violations.add(position,
                   fmt::format("the weights sum to {}{}, and rule weighted cannot divide by that; change them "
                               "or set normalize: false",
                               sum.total, rounding_note(sum)));
  if (combine.rule == CombineRule::vote && !sum.divides)
    violations.add(position, sum.total == 0
                                 ? "all weights are 0, so no member has a vote; change them or use another rule"
                                 : "the weights are too large for rule vote, which adds them up; make them smaller or "
                                   "use another rule");
}

/// What the member sees of images of `shape`; nothing if its input does not fit them, which adds a violation.
std::optional<ImageShape> seen_shape(const ReadMember& member, const InputSpec& input, const ImageShape& shape,
                                     Violations& violations) {
  if (!member.spec.input) return shape;
  const MemberInput& own = *member.spec.input;
  const bool decoded = resizes_pictures(input);
  const Misfit wrong = decoded ? misfit_of_picture(own, input) : misfit(own, shape);
  if (wrong.what.empty())
    return decoded ? fixed_shape(resize_of_picture(own.resize, input.resize)) : resized_shape(own.resize, shape);
  violations.add(member.position, fmt::format("member '{}' cannot use this 'input': {}", member.spec.name, wrong.what));
  return std::nullopt;
}

void add_misfit(const SourcePosition& position, const Misfit& wrong, Violations& violations) {
  violations.add(position, wrong.hint.empty() ? wrong.what : fmt::format("{}; {}", wrong.what, wrong.hint));
}

/// Whether the samples have the tensors that a member takes, as far as the description tells; adds a violation if not.
bool takes_what_there_is(const ReadMember& member, const InputSpec& input, Violations& violations) {
  const auto names = known_names(input);
  if (!names) return true;
  const TakenNames taken = taken_names(member.spec, *names);
  if (!taken.wrong.what.empty()) {
    add_misfit(taken.which ? member.takes.at(*taken.which) : member.position, taken.wrong, violations);
    return false;
  }
  const auto tensors = known_tensors(input);
  if (!tensors) return true;
  std::vector<NamedLayout> chosen;
  for (const std::size_t place : taken.places) chosen.push_back((*tensors)[place]);
  const SeenTensors seen = seen_tensors(member.spec, chosen);
  if (!seen.wrong.what.empty()) add_misfit(member.position, seen.wrong, violations);
  return seen.wrong.what.empty();
}

/// A slot holds every picture once for each distinct resize and crop.
void check_planes(const std::vector<ReadMember>& members, const InputSpec& input, const SourcePosition& position,
                  Violations& violations) {
  std::vector<Resize> planes;
  std::uint64_t values = 0;
  for (const ReadMember& member : members) {
    if (!member.sound) return;
    if (is_saved(facts_of(member.spec.model.kind))) continue;
    const Resize plane = resize_of_picture(member.spec.input.value_or(MemberInput{}).resize, input.resize);
    if (std::find(planes.begin(), planes.end(), plane) != planes.end()) continue;
    if (fixed_shape(plane).elements() > kMaxImageElements) return;  // seen_shape() adds that violation
    planes.push_back(plane);
    values += fixed_shape(plane).elements();
  }
  if (values > kMaxImageElements)
    violations.add(position, fmt::format("the members see each picture in {}, which have {} values together, more than "
                                         "{}; let more of them share a 'resize' and 'crop', or make these smaller",
                                         counted(planes.size(), "size"), values, kMaxImageElements));
}

/// The predictions of resized tiles would not fit together.
void check_tiled(const std::vector<ReadMember>& members, Violations& violations) {
  for (const ReadMember& member : members)
    if (member.sound && member.spec.input && member.spec.input->resize != Resize{})
      violations.add(member.position,
                     fmt::format("member '{}' has an 'input' that resizes or crops, and 'tiles' of the inputs are "
                                 "predicted in their size; leave 'resize' and 'crop' out",
                                 member.spec.name));
}

/// Why numbers per channel do not fit images of `shape`.
Misfit channel_misfit(const MemberInput& input, const ImageShape& shape) {
  for (const auto& [key, values] : {std::pair("mean", &input.mean), std::pair("std", &input.std)})
    if (values->size() > 1 && values->size() != shape.channels)
      return {fmt::format("'{}' has {}, but an image has {}", key, counted(values->size(), "value"),
                          counted(shape.channels, "channel")),
              "give one for each channel, or one for all"};
  return {};
}

void check_images(const std::vector<ReadMember>& members, const InputSpec& input, const SourcePosition& position,
                  bool training, Violations& violations) {
  const auto shape = known_shape(input);
  const std::uint32_t classes = known_classes(input);
  if (resizes_pictures(input)) check_planes(members, input, position, violations);
  if (input.tiles) check_tiled(members, violations);
  if (!training) check_masks(members, input, violations);
  for (const ReadMember& whole : members) {
    ReadMember member = whole;
    member.spec = first_stage(whole.spec);  // it sees the images
    const KindFacts facts = facts_of(member.spec.model.kind);
    if (!member.sound || is_saved(facts) || !takes_what_there_is(member, input, violations)) continue;
    if (!training && !takes_viewed_images(member, input, violations)) continue;
    const auto seen = shape ? seen_shape(member, input, *shape, violations) : std::nullopt;
    if (seen && !training && !member.spec.views.empty())
      check_views(member, *seen, violations);
    else if (seen && *seen != facts.images.value_or(*seen))
      violations.add(position, fmt::format("member '{}' is a {}, which takes images of {}, not {}", member.spec.name,
                                           facts.name, facts.images->text(), seen->text()));
    const std::uint32_t width = has_classes(whole.spec.output) ? known_width(whole.spec) : 0;
    if (width != 0 && width < classes)
      violations.add(position, fmt::format("member '{}' outputs {}, but the images have {}", member.spec.name,
                                           counted(width, "class"), classes));
  }
}

}  // namespace

Misfit misfit_of_picture(const MemberInput& own, const InputSpec& folder) {
  const Resize plane = resize_of_picture(own.resize, folder.resize);
  const ImageShape shape = fixed_shape(plane);
  if (Misfit wrong = channel_misfit(own, shape); !wrong.what.empty()) return wrong;
  if (plane.crop_height > plane.height || plane.crop_width > plane.width)
    return {fmt::format("'crop' {}x{} is larger than what 'resize' of the folder makes ({})", plane.crop_height,
                        plane.crop_width, to_text(folder.resize)),
            "add 'resize' to the 'input' of the member, or make 'crop' smaller"};
  if (shape.elements() <= kMaxImageElements) return {};
  return {fmt::format("it makes images of {}, which is more than {} values", shape.text(), kMaxImageElements),
          "make 'resize' or 'crop' smaller"};
}

Misfit misfit(const MemberInput& input, const ImageShape& shape) {
  if (Misfit wrong = channel_misfit(input, shape); !wrong.what.empty()) return wrong;
  const Resize& resize = input.resize;
  if (resize.rule == ResizeRule::none && (resize.crop_height > shape.height || resize.crop_width > shape.width))
    return {fmt::format("'crop' {}x{} is larger than the images, which are {}", resize.crop_height, resize.crop_width,
                        shape.text()),
            "add 'resize' to the 'input' of the member, or make 'crop' smaller"};
  try {
    const ImageShape seen = resized_shape(resize, shape);
    if (seen.elements() <= kMaxImageElements) return {};
    return {fmt::format("it makes images of {} from images of {}, which is more than {} values", seen.text(),
                        shape.text(), kMaxImageElements),
            "make 'resize' or 'crop' smaller"};
  } catch (const Error& error) {
    return {fmt::format("{}: {}", error.message(), error.detail()), error.hint()};
  }
}

void check_rule(const std::vector<ReadMember>& members, const CombineSpec& combine, const SourcePosition& position,
                Violations& violations) {
  check_over(combine, position, violations);
  check_weights(members, combine, position, violations);
}

void check_combination(const std::vector<ReadMember>& members, const CombineSpec& combine,
                       const SourcePosition& position, Violations& violations) {
  check_rule(members, combine, position, violations);
  for (const ReadMember& member : members)
    if (member.sound) {
      check_output(member, combine, violations);
      check_axis(member, combine, position, violations);
      check_joined(member, combine, violations);
    }
  if (combine.rule != CombineRule::none) check_widths(members, violations);
}

void check_input(const std::vector<ReadMember>& members, const InputSpec& input, const SourcePosition& position,
                 Violations& violations) {
  check_images(members, input, position, /*training=*/false, violations);
}

void check_train_input(const std::vector<ReadMember>& members, const InputSpec& input, const SourcePosition& position,
                       Violations& violations) {
  check_images(members, input, position, /*training=*/true, violations);
}

void check_classes(const std::vector<ReadMember>& members, const EnsembleSpec& spec, const SourcePosition& position,
                   Violations& violations) {
  const std::string named = counted(spec.classes.size(), "class");
  if (!has_classes(spec.combine.over))
    violations.add(position, fmt::format("the members are combined over {}, which have no classes; name the classes of "
                                         "each task in 'tasks'",
                                         to_name(spec.combine.over)));
  for (const ReadMember& member : members) {
    const std::uint32_t width = member.sound ? known_width(member.spec) : 0;
    if (width != 0 && width != spec.classes.size())
      violations.add(position,
                     fmt::format("'classes' names {}, but member '{}' outputs {}", named, member.spec.name, width));
  }
  if (const std::uint32_t there = known_classes(spec.input); there > spec.classes.size())
    violations.add(position, fmt::format("'classes' names {}, but the images have {}", named, there));
}

void check_training(const std::vector<ReadMember>& members, Violations& violations) {
  for (const ReadMember& member : members)
    if (member.sound && !member.spec.train.init.empty() && !facts_of(member.spec.model.kind).trainable)
      violations.add(member.position,
                     fmt::format("member '{}' cannot start from the 'init' file {}: a {} is not trained",
                                 member.spec.name, member.spec.train.init.string(), kind_name(member.spec.model.kind)));
}

}  // namespace tutti::config
