// Runs a newly loaded model for the first time, on memory that is read-only like the arena, and finds out whether its
// predictions repeat.
#pragma once

#include <cstdint>

#include "worker/model.hpp"

namespace tutti::worker {

/// The most calls with the same images: until two outputs in a row have the same bits, which is the second call as a
/// rule.
constexpr int kWarmUpCalls = 3;

struct WarmUp {
  Dims output;               ///< of the prediction of one sample
  double batch_seconds = 0;  ///< what the full batch takes, judged by the last call, which may be of fewer images
};

/// Calls the model with one image and with two; with the batches of the run, which `request.warm_up_batches` lists
/// besides the full one, only on a GPU, or if the model does not take a single image. Throws what the
/// model throws, and Error(usage) if the size of its predictions changes with the batch size or is 0, or, for the file
/// of a program that is not random on purpose, if the same images give other outputs again, or next to other images. A
/// model that writes to its input ends the process with a message (write_guard.hpp).
WarmUp warm_up(Model& model, const MemberRequest& request, int control_fd);

}  // namespace tutti::worker
