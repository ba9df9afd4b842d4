#include "tests/integration/programs.hpp"
#include "tests/support/places.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tutti::test {
namespace {

/// predictions.npy, predicted.npy, predictions.csv, members/a.npy: below `folder`.
std::vector<std::string> results_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".npy" || entry.path().extension() == ".csv")
      names.push_back(std::filesystem::relative(entry.path(), folder).string());
  return names;
}

}  // namespace

std::vector<std::string> Workplace::command(std::vector<std::string> words) {
  words.insert(words.begin(), test::kProgram);
  return words;
}

std::vector<std::pair<std::string, std::string>> killed_at(const Workplace& place, std::string_view point,
                                                           unsigned visit) {
  place.write("token", "");
  return {{"TUTTI_KILL_POINT", fmt::format("{}:{}:{}", point, visit, (place / "token").string())}};
}

bool was_killed(const Workplace& place) { return !place.has("token"); }

std::vector<std::string> different_results(const Workplace& place, const std::string& a, const std::string& b) {
  std::vector<std::string> names = results_in(place / a);
  const std::vector<std::string> others = results_in(place / b);
  names.insert(names.end(), others.begin(), others.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::erase_if(names, [&](const std::string& name) {
    return place.has(a + "/" + name) && place.has(b + "/" + name) &&
           place.read(a + "/" + name) == place.read(b + "/" + name);
  });
  return names;
}

}  // namespace tutti::test
