#include "evaluation/run/advice.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/counted.hpp"
#include "common/log.hpp"

namespace tutti {
namespace {

bool weighs(const config::CombineSpec& rule) {
  return rule.rule == CombineRule::weighted || rule.rule == CombineRule::vote;
}

/// The folders of a set are its classes, and may be a few of those that the members know, in any order.
void doubt_labels(const Source& source, const MemberStatus& member, std::vector<std::string>& texts) {
  const std::uint32_t classes = source.classes();
  if (member.output.size() != 1) return;
  if (!source.labelled() || classes == 0 || classes >= member.width() || source.class_name(0).empty()) return;
  texts.push_back(fmt::format(
      "{} has {} ('{}', ...), and '{}' outputs {}: they are taken for its first {}, so the accuracy may mean nothing; "
      "name what the members output with 'classes', and labels are matched by name",
      source.name(), counted(classes, "class"), source.class_name(0), member.name, member.width(), classes));
}

/// Models that come from elsewhere may output anything.
void doubt_output(const config::MemberSpec& member, const MemberStatus& status, const Source& source,
                  std::vector<std::string>& texts) {
  if (facts_of(member.model.kind).library == Library::none || member.output_is_written.value ||
      status.output.size() != 1 || status.width() <= std::max(1U, source.classes()))
    return;
  texts.push_back(fmt::format(
      "'{}' outputs {} per image, which count as logits of so many classes, because its 'output' is not set; write "
      "'output: logits' if they are, or 'output: features' if they are an embedding",
      status.name, counted(status.width(), "value")));
}

}  // namespace

std::vector<std::string> ignored_weights(const config::EnsembleSpec& spec,
                                         const std::vector<config::CombineSpec>& rules) {
  if (rules.empty() || std::ranges::any_of(rules, weighs)) return {};
  if (spec.merge && spec.merge->method == MergeMethod::weighted) return {};
  for (const config::MemberSpec& member : spec.members)
    if (member.weight != 1)
      return {fmt::format("the weight {} of member '{}' is ignored by rule {}; the rules weighted and vote use weights",
                          member.weight, member.name, to_name(rules.front().rule))};
  return {};
}

std::vector<std::string> ignored_by_run(const config::EnsembleSpec& spec) {
  if (spec.tasks.empty()) return {};
  return {fmt::format("'tutti run' predicts the images of 'input' and ignores {}; 'tutti evaluate' measures on them",
                      counted(spec.tasks.size(), "task"))};
}

std::vector<std::string> doubts(const config::EnsembleSpec& spec, const Source& source,
                                const std::vector<MemberStatus>& members) {
  std::vector<std::string> texts;
  if (!spec.classes.empty() || !has_classes(spec.combine.over)) return texts;
  if (!members.empty()) doubt_labels(source, members.front(), texts);
  for (std::size_t rank = 0; rank < std::min(members.size(), spec.members.size()); ++rank)
    doubt_output(spec.members[rank], members[rank], source, texts);
  return texts;
}

void warn_of(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) log::warning("{}", text);
}

}  // namespace tutti
