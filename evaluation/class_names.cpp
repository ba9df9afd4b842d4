#include "evaluation/class_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_map>

#include <tutti/error.hpp>

#include "common/log.hpp"
#include "common/unicode.hpp"
#include "images/sources.hpp"

namespace tutti {
namespace {

constexpr std::size_t kNamesShown = 5;
constexpr std::string_view kDigits = "0123456789";

using Places = std::vector<std::optional<std::uint32_t>>;

/// Makes "Annual_Crop" and "annual crop" equal. Keeps bytes beyond ASCII.
std::string plain(std::string_view name) {
  std::string text;
  for (const char letter : name) {
    const bool upper = letter >= 'A' && letter <= 'Z';
    const bool kept = upper || (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ||
                      static_cast<unsigned char>(letter) >= 0x80;
    if (kept)
      text += upper ? static_cast<char>(letter - 'A' + 'a') : letter;
    else if (!text.empty() && text.back() != ' ')
      text += ' ';
  }
  if (!text.empty() && text.back() == ' ') text.pop_back();
  return text.empty() ? std::string(name) : text;  // a name without letters and digits
}

/// "fox" of "003-fox"; nothing without a number, or without text after it.
std::string_view without_number(std::string_view name) {
  const std::size_t end = name.find_first_not_of(kDigits);
  if (end == 0 || end == name.npos || end + 1 == name.size()) return {};
  return std::string_view("-_. ").find(name[end]) != std::string_view::npos ? name.substr(end + 1) : std::string_view();
}

/// Finds the task's classes by name.
class Index {
 public:
  explicit Index(const std::vector<std::string>& wanted) {
    for (std::uint32_t place = 0; place < wanted.size(); ++place) {
      const std::string name = composed(wanted[place]);
      exact_[name].push_back(place);
      plain_[plain(name)].push_back(place);
    }
  }

  /// The position of `name`. "A+" and "A-" are two classes, so an exact match is preferred to a similar name. If
  /// several match, the one at `label`, or none.
  std::optional<std::uint32_t> place_of(std::string_view name, std::uint32_t label) const {
    const auto found = exact_.find(std::string(name));
    return found != exact_.end() ? one_of(found->second, label) : like(name, label);
  }

 private:
  using ByName = std::unordered_map<std::string, std::vector<std::uint32_t>>;

  std::optional<std::uint32_t> like(std::string_view name, std::uint32_t label) const {
    const auto found = plain_.find(plain(name));
    return found != plain_.end() ? one_of(found->second, label) : std::nullopt;
  }
  static std::optional<std::uint32_t> one_of(const std::vector<std::uint32_t>& places, std::uint32_t label) {
    if (places.size() == 1) return places.front();
    return std::ranges::find(places, label) != places.end() ? std::optional(label) : std::nullopt;
  }

  ByName exact_;
  ByName plain_;
};

Places places_of(const std::vector<std::string>& there, const std::vector<std::string>& wanted) {
  const Index index(wanted);
  Places places;
  for (const std::string& written : there) {
    const std::string name = composed(written);
    const auto label = static_cast<std::uint32_t>(places.size());
    const std::string_view rest = without_number(name);
    auto place = index.place_of(name, label);
    if (!place && !rest.empty()) place = index.place_of(rest, label);
    places.push_back(place);
  }
  return places;
}

std::string shown(const std::vector<std::string>& names) {
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + std::ptrdiff_t(std::min(names.size(), kNamesShown)));
  const std::string text = fmt::format("{}", fmt::join(first, ", "));
  return names.size() > kNamesShown ? fmt::format("{} and {} more", text, names.size() - kNamesShown) : text;
}

/// Whether all are found, each at a different position.
bool go_by_name(Places places) {
  if (!std::ranges::all_of(places, [](const auto& place) { return place.has_value(); })) return false;
  std::ranges::sort(places);
  return std::ranges::adjacent_find(places) == places.end();
}

bool in_place(const Places& places) {
  for (std::size_t label = 0; label < places.size(); ++label)
    if (places[label] && *places[label] != label) return false;
  return true;
}

[[noreturn]] void refuse(const std::vector<std::string>& there, const std::vector<std::string>& wanted,
                         const Places& places, const std::string& images, const std::string& names) {
  std::vector<std::string> unknown;
  std::vector<std::string> elsewhere;
  for (std::size_t label = 0; label < there.size(); ++label) {
    if (!places[label])
      unknown.push_back(fmt::format("'{}'", there[label]));
    else if (*places[label] != label)
      elsewhere.push_back(fmt::format("'{}' ({}, there {})", there[label], *places[label], label));
  }
  std::vector<std::string> missing;
  for (std::size_t label = 0; label < wanted.size(); ++label)
    if (std::ranges::find(places, std::optional(static_cast<std::uint32_t>(label))) == places.end())
      missing.push_back(fmt::format("'{}'", wanted[label]));
  std::string detail = fmt::format("at other positions: {}", shown(elsewhere));
  if (!unknown.empty()) detail = fmt::format("not in {}: {}; {}", names, shown(unknown), detail);
  if (!missing.empty()) detail += fmt::format("; only in {}: {}", names, shown(missing));
  throw Error(ErrorKind::usage, fmt::format("the classes of {} do not match those of {}", images, names), detail,
              fmt::format("give them the names of {}, and their order does not matter; or put 'classes', and the head "
                          "if there is one, into their order",
                          names));
}

std::vector<std::string> classes_of(const Source& source) {
  std::vector<std::string> names;
  for (std::uint32_t label = 0; label < source.classes(); ++label) names.push_back(source.class_name(label));
  // If one of them has no names, classes only have numbers.
  const bool named = std::ranges::none_of(names, [](const std::string& name) { return name.empty(); });
  return named ? names : std::vector<std::string>{};
}

}  // namespace

ClassMatch match_classes(const std::vector<std::string>& there, const std::vector<std::string>& wanted,
                         const std::string& images, const std::string& names) {
  const Places places = places_of(there, wanted);
  ClassMatch match;
  if (go_by_name(places)) {
    if (in_place(places)) return match;
    for (const auto& place : places) match.labels.push_back(*place);
    return match;
  }
  if (!in_place(places)) refuse(there, wanted, places, images, names);
  for (std::size_t label = 0; label < there.size(); ++label)
    if (!places[label]) match.others.push_back(fmt::format("'{}' for '{}'", there[label], wanted[label]));
  return match;
}

std::unique_ptr<Source> with_task_classes(std::unique_ptr<Source> source, const std::vector<std::string>& wanted,
                                          const std::string& images, const std::string& names) {
  if (wanted.empty()) return source;
  if (source->classes() > wanted.size())
    throw Error(ErrorKind::usage,
                fmt::format("{} have {} classes, but {} names {}", images, source->classes(), names, wanted.size()),
                source->name(), "name all of them in 'classes', in the order of the labels");
  const ClassMatch match = match_classes(classes_of(*source), wanted, images, names);
  if (!match.labels.empty())
    log::info("{} have their classes in a different order than {}: labels are matched by name", images, names);
  if (!match.others.empty())
    log::warning("{} have {} of {} classes under other names, which are matched by their order: {}", images,
                 match.others.size(), source->classes(), shown(match.others));
  return images::with_classes(std::move(source), wanted, match.labels);
}

}  // namespace tutti
