#include "program/resume_command.hpp"

#include <fmt/format.h>

#include <utility>

namespace tutti::program {
namespace {

/// A word, quoted if a shell would not take it as one word.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string text = "'";
  for (const char letter : word) text += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return text + "'";
}

}  // namespace

std::string resume_command(const CommandLine& line, const std::filesystem::path& folder, bool named) {
  std::string text = fmt::format("tutti run {}", quoted(line.file.string()));
  for (const std::string& assignment : line.overrides) text += " " + quoted(assignment);
  if (!named) text += " " + quoted(fmt::format("output={}", folder.string()));
  for (const std::string& assignment : line.assign) text += " --assign " + quoted(assignment);
  const std::pair<const char*, std::string> options[]{{"--images", line.images.string()},
                                                      {"--preprocess", line.preprocess},
                                                      {"--rule", line.rule},
                                                      {"--rules", line.rules},
                                                      {"--csv", line.csv}};
  for (const auto& [option, value] : options)
    if (!value.empty()) text += fmt::format(" {} {}", option, quoted(value));
  if (!line.worker.empty()) text += " --worker " + quoted(line.worker.string());
  return text + " --resume";
}

}  // namespace tutti::program
