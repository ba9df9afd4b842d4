// A folder of pictures that are not square, and an ensemble whose members see them differently.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "images/sources.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"

namespace tutti::test {

/// Pictures of three sizes that are not square, of two classes.
struct WidePictures : TemporaryFolder {
  WidePictures();
};

inline const Resize kShorter{ResizeRule::shorter, 9, 9, 7, 8, Interpolation::bicubic};
inline const Resize kSquashed{ResizeRule::exact, 5, 6, 0, 0, Interpolation::bilinear};

/// Member 0 sees the pictures as the folder says, member 1 squashed, member 2 as member 0 but normalised.
inline config::EnsembleSpec over_pictures(const std::filesystem::path& folder) {
  auto spec = fake_spec(3);
  spec.members[1].input = MemberInput{kSquashed, {}, {}};
  spec.members[2].input = MemberInput{{}, {0.5F}, {0.25F}};
  spec.input.dataset = config::Dataset::folder;
  spec.input.path = folder;
  spec.input.resize = kShorter;
  spec.input.shape = {3, 7, 8};
  spec.train_input = spec.input;
  spec.save_members = true;
  return spec;
}

/// What member `rank` answers to the pictures, each resized once, from the decoded picture.
inline std::vector<float> answer_to_pictures(config::EnsembleSpec spec, std::size_t rank) {
  const Resize resize = rank == 1 ? kSquashed : kShorter;
  const auto source = images::make_folder(spec.input.path, resize, {{1}});
  std::vector<std::uint64_t> indices;
  for (std::uint64_t i = 0; i < source->count(); ++i) indices.push_back(i);
  std::vector<float> seen(source->count() * source->shape().elements());
  source->read(indices, seen, {});
  if (rank == 2)
    for (float& value : seen) value = (value - 0.5F) / 0.25F;
  spec.input.shape = source->shape();
  return naive_answer(spec, rank, seen);
}

}  // namespace tutti::test
