#include "config/ranks.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "config/reader.hpp"

namespace tutti::config {
namespace {

/// The member with this name or rank.
std::optional<std::size_t> read_rank(const Tree& tree, std::string_view key, const std::vector<ReadMember>& members,
                                     Violations& violations) {
  std::vector<std::string> names;
  for (const ReadMember& member : members) names.push_back(member.spec.name);
  if (tree.kind != Tree::Kind::scalar) {
    violations.add(tree.position, fmt::format("each item of '{}' must be a member, not {}", key, describe(tree)));
    return std::nullopt;
  }
  if (const auto found = std::ranges::find(names, tree.scalar); found != names.end())
    return static_cast<std::size_t>(found - names.begin());
  const bool is_number = !tree.quoted && tree.scalar.find_first_not_of("0123456789") == std::string::npos;
  if (is_number && members.empty()) return std::nullopt;
  if (is_number) {
    const auto rank = read_whole(tree, fmt::format("a rank in '{}'", key), 0, members.size() - 1, violations);
    return rank ? std::optional(static_cast<std::size_t>(*rank)) : std::nullopt;
  }
  violations.add(tree.position, fmt::format("'{}' names '{}', but no member has that name{}", key,
                                            one_line(tree.scalar), did_you_mean(tree.scalar, names)));
  return std::nullopt;
}

}  // namespace

std::vector<std::size_t> read_ranks(const Tree& list, std::string_view key, const std::vector<ReadMember>& members,
                                    Violations& violations) {
  std::vector<std::size_t> ranks;
  if (list.kind != Tree::Kind::list || list.items.empty()) {
    violations.add(list.position, fmt::format("'{}' must be a list of members such as [cnn-0, cnn-1], not {}", key,
                                              list.kind == Tree::Kind::list ? "an empty one" : describe(list)));
    return ranks;
  }
  const std::size_t before = violations.count();
  for (const Tree& item : list.items) {
    const auto rank = read_rank(item, key, members, violations);
    if (!rank) continue;
    if (std::ranges::find(ranks, *rank) != ranks.end())
      violations.add(item.position, fmt::format("'{}' names member '{}' twice", key, members[*rank].spec.name));
    ranks.push_back(*rank);
  }
  return violations.count() == before ? ranks : std::vector<std::size_t>{};
}

}  // namespace tutti::config
