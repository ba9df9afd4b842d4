// Checkpoints that are made for one test and merged. For tests only.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "merge/merging.hpp"
#include "merge/numbers.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/merge/tensors.hpp"

namespace tutti::merge::test {

using tutti::test::TemporaryFolder;

inline constexpr std::int64_t kLong = 70'001;  // two chunks and a part

inline std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline MergeInput input(const std::filesystem::path& file) {
  return {file.stem().string(), std::make_shared<const Checkpoint>(Checkpoint::open(file))};
}

inline std::vector<float> values(const Safetensors& file, const std::string& name) {
  const TensorView tensor = file.tensor(name);
  std::vector<float> out(tensor.bytes.size() / size_of(tensor.dtype));
  decode<float>(tensor.dtype, tensor.bytes, out);
  return out;
}

inline std::vector<float> random_values(std::int64_t count, unsigned seed) {
  std::mt19937 numbers(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<std::size_t>(count));
  for (float& value : out) value = normal(numbers);
  return out;
}

/// Checkpoints made for one test, merged into a file of the same folder.
class Bench {
 public:
  void add(const std::vector<Tensor>& tensors) {
    const auto file = folder_ / fmt::format("m{}.safetensors", inputs_.size());
    write(file, tensors);
    inputs_.push_back(input(file));
  }
  void add(const std::vector<float>& of_w) { add({f32("w", {static_cast<std::int64_t>(of_w.size())}, of_w)}); }
  void set_base(const std::vector<Tensor>& tensors) {
    write(folder_ / "base.safetensors", tensors);
    base_.emplace_back(input(folder_ / "base.safetensors"));
  }
  void set_base(const std::vector<float>& of_w) {
    set_base({f32("w", {static_cast<std::int64_t>(of_w.size())}, of_w)});
  }

  MergeOutcome merge(const MergeSettings& settings = {}) {
    return merge_checkpoints(settings, inputs_, base_.empty() ? nullptr : &base_.front(), out());
  }
  std::vector<float> merged(const MergeSettings& settings = {}, const std::string& name = "w") {
    merge(settings);
    return values(Safetensors::read(out()), name);
  }
  /// The error of a merge, which then writes nothing.
  Error refusal(const MergeSettings& settings = {}) {
    const auto error = tutti::test::error_of([&] { merge(settings); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK_FALSE(std::filesystem::exists(out()));
    return *error;
  }
  std::filesystem::path out() const { return folder_ / "out.safetensors"; }
  const TemporaryFolder& folder() const { return folder_; }
  std::vector<MergeInput>& inputs() { return inputs_; }
  MergeInput* base() { return base_.empty() ? nullptr : &base_.front(); }

 private:
  TemporaryFolder folder_;
  std::vector<MergeInput> inputs_;
  std::vector<MergeInput> base_;
};

inline MergeSettings method(MergeMethod which) {
  MergeSettings settings;
  settings.method = which;
  settings.scaling = 1;
  settings.disjoint = Disjoint::mean;
  return settings;
}

}  // namespace tutti::merge::test
