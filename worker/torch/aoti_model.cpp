#include "worker/torch/aoti_model.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <torch/csrc/inductor/aoti_runner/model_container_runner_cpu.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "worker/torch/aoti_answer.hpp"
#include "worker/torch/aoti_file.hpp"
#include "worker/torch/models.hpp"
#include "worker/torch/torch_errors.hpp"
#include "worker/torch/torch_model.hpp"

namespace tutti::worker {
namespace {

using Runner = torch::inductor::AOTIModelContainerRunnerCpu;

const AotiModel& aoti_model_of(const MemberRequest& request) { return std::get<AotiModel>(request.model); }

std::unique_ptr<Runner> load(AotiFile& file) {
  // With this set, each package checks the images' shape, instead of reading past their end.
  ::setenv("AOTI_RUNTIME_CHECK_INPUTS", "1", /*overwrite=*/1);
  // The loaded library is known by this name, and a second one must not have the same, so the memfd stays open for
  // good. Its pages live as long as their mapping anyway.
  const std::string name = fmt::format("/proc/self/fd/{}", file.library.release());
  return explained(ErrorKind::usage, fmt::format("cannot load the library in '{}'", file.path),
                   fmt::format("export it again with torch {}", torch_version()),
                   [&] { return std::make_unique<Runner>(name, /*num_models=*/1, /*run_single_threaded=*/true); });
}

/// One package, loaded.
class Package {
 public:
  Package(const std::string& path, const ImageShape& shape) : Package(read_aoti_file(path, torch_version()), shape) {}

  const AotiInput& input() const { return input_; }
  std::uint64_t parameters() const { return parameters_; }

  /// The output for at most input().most images, one row for each of them. As chosen_entries().
  at::Tensor run(const at::Tensor& images, const std::vector<std::string>& entries, std::vector<NamedLayout>& parts) {
    const std::int64_t count = images.size(0);
    if (count >= input_.least) return chosen(images, entries, parts);
    const std::int64_t more = input_.least - count;
    if (!padding_.defined() || padding_.size(0) < more) {
      std::vector<std::int64_t> sizes = images.sizes().vec();
      sizes[0] = more;
      padding_ = at::zeros(sizes, images.options());
    }
    const at::Tensor answer = chosen(at::cat({images, padding_.narrow(0, 0, more)}), entries, parts);
    // The caller rejects an output with another number of rows.
    return answer.dim() > 0 && answer.size(0) == input_.least ? answer.narrow(0, 0, count) : answer;
  }

 private:
  Package(AotiFile file, const ImageShape& shape) : input_(file.input) {
    const auto fits = [](std::optional<std::int64_t> wanted, std::uint32_t given) {
      return !wanted || *wanted == given;
    };
    if (!fits(input_.channels, shape.channels) || !fits(input_.height, shape.height) ||
        !fits(input_.width, shape.width))
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' takes images of {}x{}x{}, not {}", file.path, input_.channels.value_or(0),
                              input_.height.value_or(0), input_.width.value_or(0), shape.text()),
                  {}, "resize them with 'input', of this member or of the whole ensemble");
    runner_ = load(file);
    const std::vector<std::string> specs = runner_->get_call_spec();
    form_ = answer_form(specs.size() < 2 ? "" : specs[1]);
    for (const auto& [name, tensor] : runner_->extract_constants_map(/*use_inactive=*/false))
      if (tensor.defined()) parameters_ += static_cast<std::uint64_t>(tensor.numel());
  }

  at::Tensor chosen(const at::Tensor& images, const std::vector<std::string>& entries,
                    std::vector<NamedLayout>& parts) {
    return chosen_outputs(form_, runner_->run({images}), entries, parts);
  }

  AotiInput input_;
  std::unique_ptr<Runner> runner_;
  AnswerForm form_;
  std::uint64_t parameters_ = 0;
  at::Tensor padding_;  // black images
};

class AotiMember final : public TorchModel {
 public:
  explicit AotiMember(const MemberRequest& request) : TorchModel(request) {
    if (!device().is_cpu())
      throw Error(ErrorKind::usage, "an aoti member cannot run on CUDA yet", aoti_model_of(request).paths.front(),
                  "assign it to the CPU, or export it as TorchScript");
    for (const std::string& path : aoti_model_of(request).paths) packages_.emplace_back(path, images_of(request));
    // The last is the one for batches that are too large for all of them.
    std::sort(packages_.begin(), packages_.end(),
              [](const Package& a, const Package& b) { return a.input().most < b.input().most; });
  }

  std::uint64_t parameters() const override { return packages_.front().parameters(); }

 private:
  /// The package that computes the least padding.
  Package& package_for(std::int64_t count) {
    Package* best = &packages_.back();
    for (Package& package : packages_) {
      if (package.input().most < count) continue;
      if (best->input().most < count || package.input().least < best->input().least) best = &package;
      if (package.input().least <= count) return package;
    }
    return *best;
  }

  at::Tensor answer(std::span<const at::Tensor> taken) override {
    const at::Tensor& batch = taken.front();
    const std::int64_t count = batch.size(0);
    const std::int64_t most = packages_.back().input().most;
    if (count <= most) return package_for(count).run(batch, aoti_model_of(request()).entries, joined());
    std::vector<at::Tensor> parts;
    for (std::int64_t first = 0; first < count; first += most) {
      const at::Tensor part = batch.narrow(0, first, std::min(most, count - first));
      parts.push_back(package_for(part.size(0)).run(part, aoti_model_of(request()).entries, joined()));
      check_rows(parts.back(), part.size(0));
    }
    return at::cat(parts);
  }

  /// Checks each part, since too many rows in one and too few in another could give the right total.
  static void check_rows(const at::Tensor& answer, std::int64_t count) {
    if (answer.dim() == 0 || answer.size(0) != count)
      throw Error(ErrorKind::usage,
                  fmt::format("the package gives {} for {}", counted(answer.dim() > 0 ? answer.size(0) : 0, "row"),
                              counted(count, "image")));
  }

  std::vector<Package> packages_;
};

}  // namespace

std::unique_ptr<Model> make_aoti_model(const MemberRequest& request) { return std::make_unique<AotiMember>(request); }

}  // namespace tutti::worker
