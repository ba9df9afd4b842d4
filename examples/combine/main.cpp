// Combines predictions that are in files, without running a model.
//
//   combine OUTPUT                     two small tables of probabilities, which it writes into OUTPUT
//   combine OUTPUT A.npy B.npy ...     these, by the mean and by a vote
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>

#include <tutti/combine.hpp>

namespace {

/// Two members' probabilities of three classes for four samples, and the class of each.
tutti::SavedPredictions tables(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "first.csv") << "0.8,0.1,0.1\n0.1,0.8,0.1\n0.4,0.3,0.3\n0.2,0.2,0.6\n";
  std::ofstream(folder / "second.csv") << "0.6,0.2,0.2\n0.3,0.4,0.3\n0.1,0.7,0.2\n0.5,0.3,0.2\n";
  std::ofstream(folder / "labels.csv") << "class\n0\n1\n1\n2\n";
  tutti::SavedPredictions predictions;
  predictions.members = {{folder / "first.csv"}, {folder / "second.csv"}};
  predictions.labels = folder / "labels.csv:class";  // its column
  return predictions;
}

}  // namespace

int main(int count, char** arguments) try {
  if (count < 2) {
    std::fprintf(stderr, "usage: combine OUTPUT [ARRAY ...]\n");
    return 2;
  }
  const std::filesystem::path output = arguments[1];
  tutti::SavedPredictions predictions;
  for (int i = 2; i < count; ++i) predictions.members.push_back({arguments[i]});
  if (predictions.members.empty()) predictions = tables(output / "tables");
  const tutti::Combined combined = tutti::combine(predictions, {.rules = "mean,vote", .output = output});
  for (const tutti::EvaluatedRow& row : combined.tasks.front().rows)
    std::printf("%s: %.0f %% right\n", row.name.c_str(), 100 * row.figure("accuracy").value_or(0));
  std::printf("%s\n", (combined.folder / "mean/predictions.npy").string().c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
