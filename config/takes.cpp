#include "config/takes.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/counted.hpp"
#include "common/nearest.hpp"
#include "common/resample.hpp"
#include "common/tensor_text.hpp"
#include "common/wire/member_request.hpp"
#include "config/checks.hpp"

namespace tutti::config {
namespace {

constexpr const char* kBytesHint = "give it an 'input', such as 'input: {}', which makes bytes 0 to 1";

/// "member 'a' is an mlp".
std::string member_text(const MemberSpec& member) {
  const std::string_view kind = kind_name(member.model.kind);
  const bool vowel = kind.front() == 'a' || kind.front() == 'm';
  return fmt::format("member '{}' is {} {}", member.name, vowel ? "an" : "a", kind);
}

bool read_name(const Tree& tree, TakesSpec taken, ReadTakes& read, Violations& violations) {
  if (tree.kind != Tree::Kind::scalar || tree.scalar.empty()) {
    violations.add(tree.position, fmt::format("'takes' must name a tensor, not {}", describe(tree)));
    return false;
  }
  taken.tensor = tree.scalar;
  read.takes.push_back(std::move(taken));
  read.positions.push_back(tree.position);
  return true;
}

bool is_image_to_prepare(const TensorLayout& layout) {
  return layout.dims.size() == 3 && (layout.dtype == Dtype::uint8 || layout.dtype == Dtype::float32);
}

/// Of the number of tensors, and of their names as arguments.
Misfit unfit_number(const MemberSpec& member, std::size_t count) {
  const KindFacts facts = facts_of(member.model.kind);
  if (facts.takes == Takes::any) return {};
  const std::string_view noun = facts.takes == Takes::image ? "image" : "tensor";
  if (count != 1)
    return {fmt::format("{}, which takes one {}, not {}", member_text(member), noun, counted(count, "tensor")),
            "name one of them in 'takes'"};
  if (!member.takes.empty() && !member.takes.front().as.empty())
    return {fmt::format("{}, whose input has no name", member_text(member)),
            fmt::format("write 'takes: {}'", member.takes.front().tensor)};
  return {};
}

/// Of what the model sees of the only tensor that it takes.
Misfit unfit_layout(const MemberSpec& member, const NamedLayout& stored, const TensorLayout& seen) {
  const KindFacts facts = facts_of(member.model.kind);
  if (facts.takes == Takes::any) return {};
  const std::optional<ImageShape> shape = image_shape(seen);
  const bool fits = seen.dtype == Dtype::float32 && (facts.takes == Takes::numbers || shape);
  if (fits && (!facts.images || *facts.images == *shape)) return {};
  if (fits)
    return {
        fmt::format("{}, which takes images of {}, not {}", member_text(member), facts.images->text(), shape->text()),
        "resize them with 'input' of this member"};
  return {fmt::format("{}, which takes {} of float32, not '{}' ({})", member_text(member),
                      facts.takes == Takes::image ? "an image" : "a tensor", stored.name, layout_text(stored.layout)),
          is_image_to_prepare(stored.layout) ? kBytesHint : "name another tensor in 'takes', or save it as float32"};
}

/// Those of the taken tensors that the member's `input` names.
std::vector<std::size_t> named_places(const MemberSpec& member, std::span<const NamedLayout> taken, Misfit& wrong) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (std::ranges::find(member.prepares, taken[i].name) == member.prepares.end()) continue;
    places.push_back(i);
    if (is_image_to_prepare(taken[i].layout)) continue;
    wrong = {fmt::format("member '{}' has an 'input' for '{}', which is not an image ({})", member.name, taken[i].name,
                         layout_text(taken[i].layout)),
             "leave it out of 'tensors'; an image is uint8 or float32 of three sizes"};
  }
  return places;
}

/// Which of the taken tensors the member's `input` prepares.
std::vector<std::size_t> prepared_places(const MemberSpec& member, std::span<const NamedLayout> taken, Misfit& wrong) {
  if (!member.prepares.empty()) return named_places(member, taken, wrong);
  std::vector<std::string> images;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (!is_image_to_prepare(taken[i].layout)) continue;
    places.push_back(i);
    images.push_back(taken[i].name);
  }
  if (images.size() == 1) return places;
  wrong = images.empty()
              ? Misfit{fmt::format("member '{}' has an 'input', which prepares an image, and takes none: {}",
                                   member.name, sample_text(taken)),
                       "leave 'input' out; an image is uint8 or float32 of three sizes"}
              : Misfit{fmt::format("member '{}' has an 'input', which prepares one image, and takes several: {}",
                                   member.name, and_list(images)),
                       fmt::format("say which it is for: 'input: {{tensors: [{}]}}'", fmt::join(images, ", "))};
  return {};
}

/// What `input` prepares must be taken.
Misfit unfit_prepares(const MemberSpec& member, std::span<const std::string> names,
                      const std::vector<std::size_t>& places) {
  std::vector<std::string> taken;
  for (const std::size_t place : places) taken.push_back(names[place]);
  for (const std::string& name : member.prepares)
    if (std::ranges::find(taken, name) == taken.end())
      return {fmt::format("member '{}' has an 'input' for '{}', and takes {}", member.name, name, and_list(taken)),
              "name images that the member takes in 'tensors' of 'input'"};
  return {};
}

}  // namespace

ReadTakes read_takes(Fields& fields, Violations& violations) {
  ReadTakes read;
  const Tree* tree = fields.find("takes");
  if (tree == nullptr) return read;
  const std::size_t entries = tree->kind == Tree::Kind::list ? tree->items.size() : tree->entries.size();
  if (tree->kind == Tree::Kind::scalar) {
    read_name(*tree, {}, read, violations);
  } else if (entries == 0 || entries > kMaxTaken) {
    violations.add(tree->position, fmt::format("'takes' must name 1 to {} tensors, not {}", kMaxTaken, entries));
  } else {
    for (const Tree& item : tree->items)
      if (!read_name(item, {}, read, violations)) return {};
    for (const Tree::Entry& entry : tree->entries)
      if (!read_name(entry.value, {{}, entry.key}, read, violations)) return {};
  }
  return read;
}

TakenNames taken_names(const MemberSpec& member, std::span<const std::string> names) {
  TakenNames taken;
  // A worker finds the numbers of its samples next to any of their tensors.
  if (is_saved(facts_of(member.model.kind))) return {.places = {0}};
  if (member.takes.empty() && names.size() == 1) taken.places = {0};
  if (member.takes.empty() && names.size() > 1) {
    taken.wrong.what =
        fmt::format("member '{}' must say which tensors it takes: {}", member.name, fmt::join(names, ", "));
    return taken;
  }
  for (std::size_t i = 0; i < member.takes.size(); ++i) {
    const std::string& name = member.takes[i].tensor;
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      const std::string near = nearest(name, names);
      return {{},
              {fmt::format("member '{}' takes '{}', but a sample has {}", member.name, name, and_list(names)),
               near.empty() ? "" : fmt::format("did you mean '{}'?", near)},
              i};
    }
    taken.places.push_back(static_cast<std::size_t>(found - names.begin()));
  }
  taken.wrong = unfit_number(member, taken.places.size());
  if (taken.wrong.what.empty()) taken.wrong = unfit_prepares(member, names, taken.places);
  if (!taken.wrong.what.empty()) taken.places.clear();
  return taken;
}

SeenTensors seen_tensors(const MemberSpec& member, std::span<const NamedLayout> taken) {
  SeenTensors seen;
  for (const NamedLayout& tensor : taken) seen.layouts.push_back(tensor.layout);
  if (member.input) {
    seen.prepared = prepared_places(member, taken, seen.wrong);
    if (!seen.wrong.what.empty()) return seen;
    for (const std::size_t place : seen.prepared) {
      const ImageShape shape = image_shape(taken[place].layout).value();
      seen.wrong = misfit(*member.input, shape);
      if (!seen.wrong.what.empty()) {
        seen.wrong.what = fmt::format("member '{}' cannot use this 'input': {}", member.name, seen.wrong.what);
        return seen;
      }
      seen.layouts[place] = resized_shape(member.input->resize, shape).layout();
    }
  }
  if (taken.size() == 1) seen.wrong = unfit_layout(member, taken[0], seen.layouts[0]);
  return seen;
}

}  // namespace tutti::config
