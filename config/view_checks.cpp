#include "config/view_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "common/tensor_text.hpp"
#include "config/input.hpp"
#include "config/takes.hpp"

namespace tutti::config {
namespace {

/// Why the member cannot have this view of images of `shape`; empty if it can.
std::string view_misfit(const View& view, const KindFacts& facts, const ImageShape& shape) {
  if (const ViewProblem problem = problem_of(view, shape); !problem.what.empty())
    return fmt::format("{}; {}", problem.what, problem.hint);
  const ImageShape seen = seen_in(view, shape);
  if (seen != facts.images.value_or(seen))
    return fmt::format("a {} takes images of {}, not {}, as in view '{}'", facts.name, facts.images->text(),
                       seen.text(), to_text(view));
  const std::optional<Dims> prediction = facts.prediction();
  if (!prediction) return {};
  const ViewProblem problem = undoing_of(view, seen, *prediction).problem;
  return problem.what.empty() ? "" : fmt::format("{}; {}", problem.what, problem.hint);
}

}  // namespace

void check_views(const ReadMember& member, const ImageShape& shape, Violations& violations) {
  const std::vector<View>& views = member.spec.views;
  const std::size_t before = violations.count();
  for (std::size_t v = 0; v < views.size(); ++v)
    if (const std::string wrong = view_misfit(views[v], facts_of(member.spec.model.kind), shape); !wrong.empty())
      violations.add(member.views.at(v), fmt::format("member '{}': {}", member.spec.name, wrong));
  if (violations.count() != before) return;
  if (const auto other = other_size(member.spec, shape))
    violations.add(member.views.at(other->view),
                   fmt::format("member '{}': {}; {}", member.spec.name, other->problem.what, other->problem.hint));
}

std::optional<OtherSize> other_size(const MemberSpec& member, const ImageShape& shape) {
  const KindFacts facts = facts_of(member.model.kind);
  if (facts.one_size.empty()) return std::nullopt;
  for (std::size_t v = 1; v < member.views.size(); ++v) {
    const ImageShape first = seen_in(member.views.front(), shape);
    const ImageShape seen = seen_in(member.views[v], shape);
    if (seen == first) continue;
    return OtherSize{v,
                     {fmt::format("a model of kind {} takes images of one size, because {}, and view '{}' shows {}, "
                                  "but view '{}' shows {}",
                                  facts.name, facts.one_size, to_text(member.views[v]), seen.text(),
                                  to_text(member.views.front()), first.text()),
                      "use views of one size, such as crops only, or those that keep the size"}};
  }
  return std::nullopt;
}

bool takes_viewed_images(const ReadMember& member, const InputSpec& input, Violations& violations) {
  if (member.spec.views.empty()) return true;
  const auto refuse = [&](const std::string& taken) {
    violations.add(member.views.front(),
                   fmt::format("member '{}' has views, which are of one image, and takes {}; leave 'views' out, or set "
                               "'views: []' at this member",
                               member.spec.name, taken));
    return false;
  };
  if (member.spec.takes.size() > 1) return refuse(fmt::format("{} tensors", member.spec.takes.size()));
  const auto tensors = input.tensors.empty() ? std::nullopt : known_tensors(input);
  if (!tensors) return true;
  std::vector<NamedLayout> chosen;
  for (const std::size_t place : taken_names(member.spec, names_of(*tensors)).places)
    chosen.push_back((*tensors)[place]);
  const SeenTensors seen = seen_tensors(member.spec, chosen);
  const bool image =
      seen.layouts.size() == 1 && seen.layouts.front().dtype == Dtype::float32 && image_shape(seen.layouts.front());
  return image || refuse(sample_text(chosen));
}

}  // namespace tutti::config
