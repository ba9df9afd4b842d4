// A member without LibTorch: deterministic arithmetic, with scripted delays and faults. For tests and measurements.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// `request.model` holds a FakeModel. Its output for one image: class c gets the sum over the image's values x_i with
/// i % classes == c (in order, in float32), plus a bias drawn from the seed; then a softmax if it outputs logits and
/// probabilities are wanted. Training moves the bias of each image's label by the learning rate, which falls with every
/// image since training started: other images, another order or a lost optimiser state give other weights. Throws
/// std::runtime_error if a fault is scripted for the load phase, or the weights cannot be read.
std::unique_ptr<Model> make_fake_model(const MemberRequest& request);

}  // namespace tutti::worker
