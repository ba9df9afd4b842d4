#include "config/saved.hpp"

#include <fmt/format.h>

namespace tutti::config {
namespace {

bool counts(const ReadMember& member) { return member.sound && is_saved(facts_of(member.spec.model.kind)); }

void refuse(const SourcePosition& position, const ReadMember& member, std::string_view why, Violations& violations) {
  violations.add(position, fmt::format("member '{}' has saved predictions, {}", member.spec.name, why));
}

}  // namespace

void take_as_combined(std::vector<ReadMember>& members, const CombineSpec& combine) {
  for (ReadMember& member : members)
    if (counts(member) && !member.spec.output_is_written.value) member.spec.output = combine.over;
}

void check_saved(const std::vector<ReadMember>& members, Violations& violations) {
  for (const ReadMember& member : members) {
    if (!counts(member)) continue;
    if (!member.spec.views.empty())
      refuse(member.views.front(), member, "which have no views; set 'views: []' at this member", violations);
    if (!member.spec.takes.empty())
      refuse(member.takes.front(), member, "and takes nothing of a sample; leave 'takes' out", violations);
    if (member.spec.input) refuse(member.position, member, "and sees no images; leave its 'input' out", violations);
  }
}

void check_saved_input(const std::vector<ReadMember>& members, const InputSpec& input, Violations& violations) {
  for (const ReadMember& member : members) {
    if (!counts(member)) continue;
    if (input.dataset == Dataset::memory)
      refuse(member.position, member,
             "one for each sample of a data set, and 'input' names none: samples that come through the API have no "
             "place in one; name it with 'dataset'",
             violations);
    if (input.tiles)
      refuse(member.position, member,
             "one for each input, and 'tiles' are parts of inputs; leave 'tiles' or the member out", violations);
  }
}

}  // namespace tutti::config
