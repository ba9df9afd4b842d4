// Predicts into a folder. End it early, start it again, and it continues where it was. The members are `fake` ones,
// which compute a hash of the image and need no LibTorch.
//
//   run OUTPUT           the folder for the results
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include <tutti/run.hpp>

namespace {

tutti::EnsembleSpec two_members() {
  tutti::EnsembleSpec value;
  for (std::uint64_t rank = 0; rank < 2; ++rank) {
    tutti::MemberSpec& member = value.members.emplace_back();
    member.name = "m" + std::to_string(rank);
    member.model.kind = tutti::FakeModel{.classes = 3, .delay_us = 1000};
    member.device = tutti::CpuDevice{};
    member.seed = rank;
  }
  value.input.dataset = tutti::Dataset::random;
  value.input.count = 1000;
  value.input.shape = {3, 8, 8};
  value.segment_images = 50;
  return value;
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 2) {
    std::fprintf(stderr, "usage: run OUTPUT\n");
    return 2;
  }
  tutti::EnsembleSpec value = two_members();
  value.output = arguments[1];
  tutti::RunOptions options;
  options.resume = std::filesystem::exists(value.output / "journal");
  options.on_progress = [](const tutti::RunState& state) {
    std::printf("%d of %d\n", static_cast<int>(state.done), static_cast<int>(state.total));
  };
  const tutti::FolderRun run = tutti::run_to_folder(tutti::Spec(value), options);
  std::printf("%d images in %s, %d segments of them from before\n", static_cast<int>(run.images), run.folder.c_str(),
              static_cast<int>(run.resumed));
  return run.complete ? 0 : 3;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
