// Requests and images for the tests of members that LibTorch computes. No LibTorch. For tests only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "worker/model.hpp"

namespace tutti::test {

/// Images of 3x32x32, batches of 8, logits wanted as probabilities.
MemberRequest request_for(ModelKind kind, std::uint64_t seed = 7);

/// A TorchScript member whose logits are wanted as they are.
MemberRequest script_request(const std::filesystem::path& file, bool optimize = true, const std::string& entry = "");

/// `count` images with values in 0..1.
std::vector<float> some_images(std::size_t count, const ImageShape& shape = {3, 32, 32});

/// The output for `count` images in batches of `batch`, the last one short.
std::vector<float> answers(worker::Model& model, std::span<const float> images, std::uint32_t count,
                           std::uint32_t batch);

std::string bytes_of(const std::filesystem::path& file);

}  // namespace tutti::test
