// The error for a command line that CLI11 refuses. For an option that a command does not know it suggests the nearest
// one, or the command that has it; CLI11 would only say that an argument was not expected. For the mains of the
// programs `tutti` and `tutti-bench`, which own CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/error.hpp>

#include "common/nearest.hpp"
#include "config/schema_keys.hpp"
#include "config/usual_names.hpp"

namespace tutti::program {

inline std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

/// The key of the description, which may be changed behind its file, that an option of this name would be: `output` for
/// --output, `batch_images` for --batch-size. Empty: none, or the command takes no changes.
inline std::string key_meant(const CLI::App& command, const std::string& option) {
  if (!option.starts_with("--") || command.get_option_no_throw("overrides") == nullptr) return {};
  std::string word = option.substr(2);
  std::ranges::replace(word, '-', '_');
  std::vector<std::string> keys;
  for (const config::SchemaKey& one : config::schema_keys())
    if (one.definition == "description") keys.emplace_back(one.key);
  return std::ranges::count(keys, word) > 0 ? word : config::usual_name(word, keys);
}

/// The error for the first word that `command`, called `title`, does not know, if that word is an option. `others` are
/// the other commands.
inline std::optional<Error> unknown_option(const CLI::App& command, const std::string& title,
                                           const std::vector<const CLI::App*>& others) {
  const std::vector<std::string> left = command.remaining(true);
  if (left.empty() || left.front().size() < 2 || left.front().front() != '-') return std::nullopt;
  const std::string option = left.front().substr(0, left.front().find('='));
  std::string hint = fmt::format("see '{} --help'", title);
  const std::string near = nearest(option, option_names(command));
  if (!near.empty()) hint = fmt::format("did you mean '{}'?", near);
  const auto has_it = [&](const CLI::App* other) { return other->get_option_no_throw(option) != nullptr; };
  if (const auto owner = std::find_if(others.begin(), others.end(), has_it); owner != others.end())
    hint = fmt::format("'tutti {}' has it", (*owner)->get_name());
  if (const std::string key = key_meant(command, option); near.empty() && !key.empty())
    hint = fmt::format("it is a key of the description: write '{}=...' behind the file", key);
  return Error(ErrorKind::usage, fmt::format("'{}' has no option '{}'", title, option), {}, hint);
}

/// Options without a value have none, also no `--resume=no`. For the app, before options and commands are added.
inline void refuse_values_of_flags(CLI::App& app) { app.option_defaults()->disable_flag_override(); }

/// The error for an option that stands without its value.
inline Error needs_value(const CLI::Option& option, const std::string& instead = {}) {
  return Error(ErrorKind::usage,
               fmt::format("'{}' needs a value{}", option.get_name(),
                           instead.empty() ? "" : fmt::format(", and '{}' is an option", instead)),
               {}, fmt::format("write '{} {}'", option.get_name(), option.get_type_name()));
}

/// The error for a value that an option, or a place, cannot have. `allowed` is a sentence.
inline Error wrong_value(const CLI::Option& option, const std::string& value, const std::string& allowed,
                         const std::string& hint) {
  return Error(ErrorKind::usage, fmt::format("'{}' cannot be '{}'", option.get_name(), value), allowed, hint);
}

/// `option` takes one of these words. Instead of CLI11's IsMember; parsing throws Error(usage).
inline CLI::Option* takes_word(CLI::Option* option, const std::vector<std::string>& words) {
  option->type_name(fmt::format("{}", fmt::join(words, "|")));
  return option->check([option, words](const std::string& value) {
    if (std::find(words.begin(), words.end(), value) != words.end()) return std::string();
    const std::string near = nearest(value, words);
    throw wrong_value(*option, value, fmt::format("it is one of {}", fmt::join(words, ", ")),
                      near.empty() ? "choose one of these" : fmt::format("did you mean '{}'?", near));
  });
}

/// The bounds of a number that an option takes, and one that would do.
template <class Number>
struct Bounds {
  Number usual;
  Number least = std::numeric_limits<Number>::lowest();
  Number most = std::numeric_limits<Number>::max();

  bool bounded() const {
    return least != std::numeric_limits<Number>::lowest() || most != std::numeric_limits<Number>::max();
  }
  std::string text() const {
    return fmt::format("a {}{}", std::is_integral_v<Number> ? "whole number" : "number",
                       bounded() ? fmt::format(" from {} to {}", least, most) : "");
  }
};

/// `option` takes a number within these, whole if they are. Instead of CLI11's Range, and of its conversion, which gets
/// the number as it was understood here; parsing throws Error(usage).
template <class Number>
CLI::Option* takes_number(CLI::Option* option, const Bounds<Number>& bounds) {
  option->type_name("N");
  if (bounds.bounded())
    option->description(fmt::format("{} ({} to {})", option->get_description(), bounds.least, bounds.most));
  return option->transform([option, bounds](const std::string& value) {
    Number number{};
    const char* const end = value.data() + value.size();
    const auto [after, error] = std::from_chars(value.data(), end, number);
    const bool read = error == std::errc() && after == end && std::isfinite(static_cast<double>(number));
    if (read && number >= bounds.least && number <= bounds.most) return fmt::format("{}", number);
    const Number fits = !read ? bounds.usual : number < bounds.least ? bounds.least : bounds.most;
    throw wrong_value(*option, value, "it is " + bounds.text(),
                      fmt::format("write for example '{} {}'", option->get_name(), fits));
  });
}

/// CLI11 takes what follows an option for its value, also nothing and another option: `--save= --quiet`. For a command
/// that has all its options; parsing then throws Error(usage).
inline void refuse_values_that_are_none(CLI::App& command) {
  for (CLI::Option* const option : command.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // a flag
    // A transformation comes before what takes_word() and takes_number() look at.
    option->transform([&command, option](const std::string& value) {
      const bool positional = option->get_positional();
      // CLI11 would find a place by its name, too: a value may well be called as one.
      const bool is_option =
          value.starts_with("--") || (value.starts_with("-") && command.get_option_no_throw(value) != nullptr);
      if (is_option && !positional) throw needs_value(*option, value);
      if (value.empty() && !positional) throw needs_value(*option);
      if (value.empty())
        throw Error(ErrorKind::usage, "a word of the command line is empty",
                    fmt::format("{}: {}", option->get_type_name(), option->get_description()),
                    "a variable of the shell that is not set makes such a word");
      return value;
    });
  }
}

/// What CLI11 says about two options, "--dot excludes --measure", in words for users; nothing if it is about something
/// else.
inline std::optional<Error> wrong_pair(const CLI::Error& error) {
  const std::string text = error.what();
  const auto parted = [&](std::string_view verb) {
    const std::size_t at = text.find(verb);
    return std::pair(text.substr(0, at), at == text.npos ? "" : text.substr(at + verb.size()));
  };
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    const auto [one, other] = parted(" excludes ");
    return Error(ErrorKind::usage, fmt::format("'{}' and '{}' do not go together", one, other), {},
                 "leave one of them out");
  }
  if (dynamic_cast<const CLI::RequiresError*>(&error) != nullptr) {
    const auto [one, other] = parted(" requires ");
    return Error(ErrorKind::usage, fmt::format("'{}' counts only with '{}'", one, other), {},
                 fmt::format("add '{}', or leave '{}' out", other, one));
  }
  return std::nullopt;
}

/// What CLI11 says about words that are missing, too many or of the wrong type, in words for users; nothing if this is
/// about something else. CLI11 names options and places as its program does, and puts the rest into its text.
inline std::optional<Error> wrong_words(const CLI::App& command, const std::string& title, const CLI::Error& error) {
  const std::string help = fmt::format("see '{} --help'", title);
  const std::string text = error.what();
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    for (const CLI::Option* option : command.get_options())
      if (option->get_required() && option->count() == 0)
        return Error(ErrorKind::usage, fmt::format("'{}' needs {}", title, option->get_description()), {}, help);
    return Error(ErrorKind::usage, "there is no command", {}, help);
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && command.remaining_size(true) > 0)
    return Error(ErrorKind::usage,
                 fmt::format("'{}' is one word too many for '{}'", command.remaining(true).front(), title), {}, help);
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const CLI::Option* const option = command.get_option_no_throw(text.substr(0, text.find(": ")));
    if (option != nullptr && text.ends_with(" missing")) return needs_value(*option);
    if (option != nullptr && text.find(": At Most 1 ") != text.npos)
      return Error(ErrorKind::usage, fmt::format("'{}' is given more than once", option->get_name()), {},
                   "leave out all but one");
  }
  return std::nullopt;
}

/// Why `command`, called `title`, could not be read: CLI11's `error` in Tutti's words where it has better ones.
inline Error usage_error(const CLI::App& command, const std::string& title, const std::vector<const CLI::App*>& others,
                         const CLI::Error& error) {
  if (const auto unknown = unknown_option(command, title, others)) return *unknown;
  if (const auto wrong = wrong_words(command, title, error)) return *wrong;
  if (const auto wrong = wrong_pair(error)) return *wrong;
  std::string message = error.what();
  // CLI11 has no type of its own for this, and gives the name without its dashes.
  if (const auto end = message.find(" was given a disallowed flag override"); end != std::string::npos)
    message = fmt::format("'{}{}' takes no value", end == 1 ? "-" : "--", message.substr(0, end));
  return Error(ErrorKind::usage, message, {}, fmt::format("see '{} --help'", title));
}

}  // namespace tutti::program
