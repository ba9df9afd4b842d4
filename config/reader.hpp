// Typed access to one map of a configuration. Every mistake becomes a violation with its position; reading continues,
// so that all of them are found. It knows types and ranges, but no key.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/tensor.hpp>

#include "common/values.hpp"
#include "config/read_keys.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// "; did you mean 'x'?", or empty if no candidate is similar.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

/// "a, b or c".
std::string one_of(std::span<const std::string> names);

/// What a number must be, and how messages say it: "a number above 0".
struct NumberRule {
  std::string_view wanted;
  bool (*accept)(double);
};
inline constexpr NumberRule kAnyNumber{"a number", [](double) { return true; }};
inline constexpr NumberRule kPositive{"a number above 0", [](double value) { return value > 0; }};
inline constexpr NumberRule kFloat{"a number that fits float32",
                                   [](double value) { return std::isfinite(static_cast<float>(value)); }};
inline constexpr NumberRule kDeadline{"a number of seconds above 0 and at most 1000000",
                                      [](double value) { return value > 0 && value <= 1e6; }};

inline constexpr NumberRule kAxis{
    "the number of an axis: 1 is the first after the sample, -1 the last", [](double value) {
      return value == std::trunc(value) && value != 0 && std::fabs(value) <= static_cast<double>(kMaxRank);
    }};

/// A whole number in plain decimal digits within the bounds, or a violation about `what` ("'segment_images'").
std::optional<std::uint64_t> read_whole(const Tree& tree, std::string_view what, std::uint64_t least,
                                        std::uint64_t most, Violations& violations);
/// A finite number, or a violation.
std::optional<double> read_number(const Tree& tree, std::string_view what, const NumberRule& rule,
                                  Violations& violations);

/// The keys of one map, read one by one. A reading function does not change its result if the key is absent, null (both
/// mean the default) or wrong. finish() reports the keys that were never read. The map must outlive this object.
class Fields {
 public:
  /// `what` names the map in messages: "'input'". A value that is not a map is a violation and then counts as an empty
  /// map.
  Fields(const Tree& tree, std::string_view what, Violations& violations);

  /// The value of a key that is present and not null.
  const Tree* find(std::string_view key);
  /// Like find(); if there is none, adds a violation with the text "<what> needs '<key>', <reason>".
  const Tree* require(std::string_view key, std::string_view reason);
  /// The position of a key's value, or that of the map.
  const SourcePosition& position_of(std::string_view key) const;

  template <std::unsigned_integral Whole>
  void whole(std::string_view key, Whole& out, std::uint64_t least,
             std::uint64_t most = std::numeric_limits<Whole>::max()) {
    note(key, {.kind = KeyForm::Kind::whole, .least = least, .most = most});
    if (const Tree* tree = find(key); tree != nullptr)
      if (const auto value = read_whole(*tree, quote(key), least, most, violations_); value)
        out = static_cast<Whole>(*value);
  }
  void number(std::string_view key, double& out, const NumberRule& rule);
  /// A size of memory of at least one byte with its unit, such as "2 GB" or 512MiB, in bytes.
  void bytes(std::string_view key, std::uint64_t& out);
  void boolean(std::string_view key, bool& out);
  void text(std::string_view key, std::string& out);
  void path(std::string_view key, std::filesystem::path& out);

  template <class Enum>
  void choice(std::string_view key, Enum& out) {
    std::vector<std::string> names;
    for (const auto& entry : enum_names(Enum{})) names.emplace_back(entry.name);
    if (const auto word = one_of_words(key, names); word) out = *from_name<Enum>(*word);
  }
  /// The word of `key` if it is one of `names`; otherwise a violation such as "'rule' must be mean, sum or max, not
  /// 'men'; did you mean 'mean'?".
  std::optional<std::string> one_of_words(std::string_view key, std::span<const std::string> names);

  /// Adds a violation if the key is present: it exists, but not in this combination. `reason` is the whole sentence.
  void refuse(std::string_view key, std::string_view reason);

  /// Unknown keys become violations, with the nearest known key.
  void finish();

 private:
  static std::string quote(std::string_view key);
  /// For the schema: this map may have the key.
  void note(std::string_view key, KeyForm form, bool required = false);
  void must_be(std::string_view key, std::string_view wanted, const Tree& tree);

  const Tree& tree_;
  std::string what_;
  Violations& violations_;
  ReadMap* const noted_;  ///< null unless somebody wants to know the keys
  std::vector<std::string> known_;
  std::vector<std::string> refused_;
};

}  // namespace tutti::config
