#include "config/assignment.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "common/counted.hpp"
#include "config/device.hpp"
#include "config/reader.hpp"
#include "config/shards.hpp"

namespace tutti::config {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// A core or a range of cores, such as the part after the comma in `cpu:0-3,8`.
bool is_core_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  return is_number(text.substr(0, dash)) && (dash == std::string_view::npos || is_number(text.substr(dash + 1)));
}

bool is_plain_core_set(const Tree& tree) {
  return tree.kind == Tree::Kind::scalar && !tree.quoted && tree.scalar.starts_with("cpu:");
}

std::string quote_advice(std::string_view cores) {
  return fmt::format("the comma ends '{}' inside brackets; quote it: \"{}\", or write {{cpu: [{}]}}",
                     cores.substr(0, cores.find(',')), cores, cores.substr(4));
}

/// A device written as one word, also from its map form; empty if it is neither.
std::string text_of(const Tree& tree) {
  if (tree.kind == Tree::Kind::scalar) return tree.scalar;
  if (tree.kind != Tree::Kind::map || tree.entries.size() != 1) return {};
  const auto& [key, key_position, value] = tree.entries.front();
  if (value.kind == Tree::Kind::scalar) return key + ":" + value.scalar;
  std::string text;
  for (const Tree& item : value.items) {
    if (item.kind != Tree::Kind::scalar) return {};
    text += (text.empty() ? key + ":" : ",") + item.scalar;
  }
  return text;
}

std::optional<Device> parsed(const std::string& text, const SourcePosition& position, Violations& violations) {
  try {
    return parse_device(text);
  } catch (const Error& error) {
    violations.add(position, error.message());
    return std::nullopt;
  }
}

class Assigner {
 public:
  Assigner(std::string_view key, std::vector<ReadMember>& members, const std::vector<std::optional<Device>>& of_workers,
           Violations& violations)
      : key_(fmt::format("'{}'", key)),
        members_(members),
        of_workers_(of_workers),
        violations_(violations),
        given_(members.size()),
        named_(members.size()),
        by_command_line_(members.size()) {}

  void read_file(const Tree* tree) {
    if (tree == nullptr || tree->kind == Tree::Kind::null) return give_all(AutoDevice{});
    if (tree->kind == Tree::Kind::list) return read_list(*tree);
    if (tree->kind == Tree::Kind::map) return read_map(*tree);
    const auto device = read_device(*tree, violations_);
    give_all(device.value_or(AutoDevice{}));  // a violation was added already; any device will do
  }

  void read_command_line(const std::vector<std::string>& options) {
    for (const std::string& option : options)
      for (const std::string& part : split(option)) read_option(part);
  }

  void finish(const Tree* tree) {
    for (std::size_t rank = 0; rank < members_.size(); ++rank) {
      const std::string& name = members_[rank].spec.name;
      if (of_workers_[rank]) {
        if (named_[rank] && given_[rank] != of_workers_[rank])
          violations_.add(tree != nullptr ? tree->position : SourcePosition{"command line: '--assign'"},
                          fmt::format("member '{}' is assigned {}, but its worker runs on {} ('workers'); say it once",
                                      name, to_text(*given_[rank]), to_text(*of_workers_[rank])));
        members_[rank].spec.device = *of_workers_[rank];
        continue;
      }
      if (assigned_in_vain(rank, tree))
        violations_.add(by_command_line_[rank] ? SourcePosition{"command line: '--assign'"} : tree->position,
                        fmt::format("member '{0}' is assigned {1}, but each of its '{2}' names a device of its own; "
                                    "change these, or leave '{0}' out",
                                    name, to_text(*given_[rank]), chain_key(members_[rank].spec)));
      if (given_[rank])
        members_[rank].spec.device = *given_[rank];
      else if (!members_[rank].stage_devices.empty())
        members_[rank].spec.device = AutoDevice{};  // its stages may say theirs
      else if (!name.empty())
        violations_.add(tree->position, fmt::format("{1} has no device for member '{0}'; add {0}: cpu, another "
                                                    "device, or null for the first usable one",
                                                    name, key_));
    }
  }

 private:
  /// Its stages name devices, and one for all of them would not count. A list has one for every member.
  bool assigned_in_vain(std::size_t rank, const Tree* tree) const {
    const auto& stages = members_[rank].stage_devices;
    const bool all_named = !stages.empty() && std::ranges::all_of(stages, &std::optional<Device>::has_value);
    const bool in_map = named_[rank] && tree != nullptr && tree->kind == Tree::Kind::map;
    return all_named && (by_command_line_[rank] || in_map);
  }

  void give_all(const Device& device) { std::fill(given_.begin(), given_.end(), device); }

  void read_list(const Tree& tree) {
    if (tree.items.size() == members_.size()) {
      for (std::size_t rank = 0; rank < members_.size(); ++rank)
        given_[rank] = read_device(tree.items[rank], violations_).value_or(AutoDevice{});
      named_.assign(members_.size(), true);
      return;
    }
    std::string advice;
    for (std::size_t i = 1; i < tree.items.size() && advice.empty(); ++i)
      if (is_plain_core_set(tree.items[i - 1]) && is_core_range(tree.items[i].scalar))
        advice = "; " + quote_advice(tree.items[i - 1].scalar + "," + tree.items[i].scalar);
    violations_.add(tree.position,
                    fmt::format("{} lists {} for {}; it must list one for each{}", key_,
                                counted(tree.items.size(), "device"), counted(members_.size(), "member"), advice));
    give_all(AutoDevice{});
  }

  void read_map(const Tree& tree) {
    for (std::size_t i = 0; i < tree.entries.size();) {
      const Tree::Entry& entry = tree.entries[i];
      const std::size_t cut = count_cut_off(tree, i);
      const auto rank = rank_of(entry.key, entry.key_position, key_);
      if (rank && given_[*rank])
        violations_.add(entry.key_position, fmt::format("{} names member '{}' twice, by name and by rank", key_,
                                                        members_[*rank].spec.name));
      std::optional<Device> device;
      if (cut == 0)
        device = read_device(entry.value, violations_);
      else
        report_cut(tree, i, cut);
      if (rank) given_[*rank] = device.value_or(AutoDevice{});
      if (rank) named_[*rank] = true;
      i += 1 + cut;
    }
  }

  /// YAML reads `{a: cpu:0-3,8}` as two keys, `a` and `8`: how many of the keys after `at` are such parts.
  static std::size_t count_cut_off(const Tree& tree, std::size_t at) {
    if (!is_plain_core_set(tree.entries[at].value)) return 0;
    std::size_t count = 0;
    while (at + count + 1 < tree.entries.size() && tree.entries[at + count + 1].value.blank &&
           is_core_range(tree.entries[at + count + 1].key))
      ++count;
    return count;
  }

  void report_cut(const Tree& tree, std::size_t at, std::size_t count) {
    std::string cores = tree.entries[at].value.scalar;
    for (std::size_t i = 1; i <= count; ++i) cores += "," + tree.entries[at + i].key;
    violations_.add(tree.entries[at].value.position, quote_advice(cores));
  }

  std::optional<std::size_t> rank_of(const std::string& key, const SourcePosition& position, std::string_view where) {
    if (is_number(key)) {
      std::size_t rank = members_.size();
      std::from_chars(key.data(), key.data() + key.size(), rank);
      if (rank < members_.size()) return rank;
      violations_.add(position,
                      fmt::format("{} names member {}, but the last member is {}", where, key, members_.size() - 1));
      return std::nullopt;
    }
    std::vector<std::string> names;
    for (const ReadMember& member : members_) names.push_back(member.spec.name);
    const auto found = std::find(names.begin(), names.end(), key);
    if (found != names.end() && !key.empty()) return static_cast<std::size_t>(found - names.begin());
    violations_.add(position,
                    fmt::format("{} names '{}', which is not a member{}", where, key, did_you_mean(key, names)));
    return std::nullopt;
  }

  /// "a=cpu:0,8,b=cpu:1" -> "a=cpu:0,8" and "b=cpu:1": a comma separates if a '=' follows before the next comma.
  static std::vector<std::string> split(const std::string& option) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin <= option.size();) {
      const std::size_t end = std::min(option.find(',', begin), option.size());
      const std::string piece = option.substr(begin, end - begin);
      if (parts.empty() || piece.find('=') != std::string::npos)
        parts.push_back(piece);
      else
        parts.back() += "," + piece;
      begin = end + 1;
    }
    return parts;
  }

  void read_option(const std::string& option) {
    const SourcePosition position{fmt::format("command line: '--assign {}'", option)};
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == option.size()) {
      violations_.add(position, "write a member and its device: --assign cnn-0=cpu:1");
      return;
    }
    const auto rank = rank_of(option.substr(0, equals), position, "--assign");
    const auto device = parsed(option.substr(equals + 1), position, violations_);
    if (!rank) return;
    if (by_command_line_[*rank])
      violations_.add(position, fmt::format("--assign names member '{}' twice", members_[*rank].spec.name));
    by_command_line_[*rank] = named_[*rank] = true;
    given_[*rank] = device.value_or(AutoDevice{});
  }

  const std::string key_;  ///< the key's name in messages
  std::vector<ReadMember>& members_;
  const std::vector<std::optional<Device>>& of_workers_;
  Violations& violations_;
  std::vector<std::optional<Device>> given_;
  std::vector<bool> named_;  ///< by itself
  std::vector<bool> by_command_line_;
};

}  // namespace

std::optional<Device> read_device(const Tree& tree, Violations& violations) {
  if (tree.kind == Tree::Kind::null && !tree.blank) return AutoDevice{};
  const std::string text = text_of(tree);
  if (!text.empty()) return parsed(text, tree.position, violations);
  violations.add(tree.position,
                 fmt::format("a device is written as cpu:0-3, cuda:1, a number, null or {{cpu: [0, 1]}}, not as {}",
                             describe(tree)));
  return std::nullopt;
}

void read_assignment(const Assignment& assignment, const std::vector<std::string>& command_line,
                     const std::vector<std::optional<Device>>& of_workers, std::vector<ReadMember>& members,
                     Violations& violations) {
  Assigner assigner(assignment.key, members, of_workers, violations);
  assigner.read_file(assignment.tree);
  assigner.read_command_line(command_line);
  assigner.finish(assignment.tree);
}

}  // namespace tutti::config
