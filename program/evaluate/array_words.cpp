#include "program/evaluate/array_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include <tutti/error.hpp>

namespace tutti::program {
namespace {

bool is_setting(std::string_view word) {
  return word.starts_with("combine=") || word.starts_with("combine.") || word.starts_with("on_nan=");
}

/// NAME=FILE, or FILE. A path may contain a '=' too, but only after a '/', and a name cannot contain a '/'.
PredictionFile named(const std::string& word) {
  const std::size_t equals = std::min(word.find('='), word.find('/'));
  if (equals == std::string::npos || word[equals] != '=') return {word};
  PredictionFile given{word.substr(equals + 1), word.substr(0, equals)};
  if (given.name.empty() || given.name.front() == '.' || given.file.empty())
    throw Error(ErrorKind::usage, fmt::format("--predictions {} is neither FILE nor NAME=FILE", word), {},
                "for example --predictions cnn=cnn/predictions.npy vit=vit/predictions.npy");
  return given;
}

}  // namespace

ArrayWords array_words(const CommandLine& line) {
  ArrayWords words{{{}, line.labels, line.ignore_index, line.logits}, line.overrides};
  if (!line.file.empty()) {
    if (!is_setting(line.file.string()))
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' and --predictions cannot be combined at once", line.file.string()), {},
                  "name either the folder of a run, or arrays");
    words.settings.insert(words.settings.begin(), line.file.string());
  }
  for (const std::string& word : line.predictions) {
    if (is_setting(word))
      words.settings.push_back(word);
    else
      words.predictions.members.push_back(named(word));
  }
  return words;
}

}  // namespace tutti::program
