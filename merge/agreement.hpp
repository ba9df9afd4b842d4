// Checks that checkpoints can be merged, that is, hold the same tensors, and maps the tensors of the files to those of
// the result. Looks at headers, and at the bytes of integers; computes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "merge/merging.hpp"

namespace tutti::merge {

/// One tensor of one checkpoint.
struct Column {
  const Checkpoint* checkpoint = nullptr;
  std::string name;  ///< in that file
  Dtype dtype = Dtype::f32;
};

/// One tensor of the result.
struct MergedTensor {
  std::string name;  ///< in the first file
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t count = 0;     ///< values
  std::vector<Column> inputs;  ///< of a floating tensor: one per input
  std::optional<Column> base;  ///< of a floating tensor, if there is a base
  std::optional<Column> kept;  ///< of any other: what is copied
};

struct Agreement {
  std::vector<MergedTensor> tensors;  ///< sorted by name
  std::vector<std::string> notes;
  std::string statistics;  ///< a warning if BatchNorm statistics are averaged; empty: there are none
};

/// Throws Error(usage) that lists what differs. The checkpoints must outlive the result.
Agreement agree(std::span<const MergeInput> inputs, const MergeInput* base);

}  // namespace tutti::merge
