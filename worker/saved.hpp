// A member without a model: its predictions were computed elsewhere, and are the rows of a file.
#pragma once

#include <memory>

#include "worker/model.hpp"

namespace tutti::worker {

/// `request.model` holds a SavedModel, and `request.saved` says where its rows are. The prediction for a sample is the
/// row that belongs to its number (Samples::numbers()), as float32; probabilities are made of it if the file holds
/// logits and those are wanted. Its tensors are not read. Throws Error(usage) if there is no such file, or if it was
/// changed since the coordinator looked at it.
std::unique_ptr<Model> make_saved_model(const MemberRequest& request);

}  // namespace tutti::worker
