// Runs a newly loaded model until its speed and its bits no longer change, on memory that is read-only like the arena.
#pragma once

#include <cstdint>

#include "worker/model.hpp"

namespace tutti::worker {

/// Calls per batch size: TorchScript profiles in the first, optimises in the second, and no longer changes in the
/// third.
constexpr int kWarmUpCalls = 3;

struct WarmUp {
  std::uint32_t width = 0;   ///< values per image
  double batch_seconds = 0;  ///< of the last call with the largest batch
};

/// Calls the model with every size in `request.warm_up_batches` (at least the full batch). Throws
/// what the model throws, and std::runtime_error if its width changes with the batch size or is 0. A model that
/// writes to its input ends the process with a message (write_guard.hpp).
WarmUp warm_up(Model& model, const MemberRequest& request, int control_fd);

}  // namespace tutti::worker
