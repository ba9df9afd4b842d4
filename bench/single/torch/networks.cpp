#include "bench/single/torch/networks.hpp"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include <tutti/error.hpp>

#include "bench/single/members.hpp"
#include "worker/torch/models.hpp"
#include "worker/warm_up.hpp"

namespace tutti::bench {
namespace {

// A graph is made for the CPU's packed weights; on a GPU the rival to workers is streams, the strategy `threads`.
void check(const SingleJob& job) {
  for (const MemberRequest& member : job.members) {
    if (member.cuda)
      throw Error(ErrorKind::failed, fmt::format("'{}' computes on the CPU alone", to_name(job.strategy)),
                  fmt::format("'{}' is on a GPU", member.name), "take 'sequential' or 'threads'");
    if (member.output != OutputKind::logits || member.over == OutputKind::features ||
        member.over != job.members.front().over)
      throw Error(
          ErrorKind::failed,
          fmt::format("'{}' makes either logits or probabilities of all members' logits", to_name(job.strategy)),
          fmt::format("'{}' is to make {} of {}", member.name, to_name(member.over), to_name(member.output)));
  }
}

}  // namespace

bool are_networks(const SingleJob& job) {
  return std::ranges::all_of(job.members, [](const MemberRequest& member) {
    return std::holds_alternative<SmallCnnModel>(member.model) || std::holds_alternative<MlpModel>(member.model);
  });
}

std::vector<worker::Network> load_networks(const SingleJob& job) {
  check(job);
  worker::set_up_torch(job.members.front().threads, job.between);
  std::vector<worker::Network> networks;
  for (const MemberRequest& member : job.members) networks.push_back(worker::make_network(member));
  return networks;
}

bool wants_softmax(const MemberRequest& request) { return request.over == OutputKind::probabilities; }

std::uint32_t common_classes(const SingleJob& job, const std::vector<worker::Network>& networks) {
  return common_width(
      job, [&](std::size_t m) { return static_cast<std::uint32_t>(networks[m].dense.back().weight.size(0)); });
}

std::uint32_t common_batch(const SingleJob& job) {
  const MemberRequest& first = job.members.front();
  for (const MemberRequest& member : job.members)
    if (member.batch_images != first.batch_images)
      throw Error(ErrorKind::failed, fmt::format("'{}' takes one batch for all members", to_name(job.strategy)),
                  fmt::format("{} images for '{}', {} for '{}'", first.batch_images, first.name, member.batch_images,
                              member.name),
                  "give all members the same batch, or take 'sequential' or 'threads'");
  return first.batch_images;
}

at::Tensor view(const Input& input, const Run& batch) {
  // from_blob takes no const; no operation of these networks writes to its input.
  return at::from_blob(const_cast<float*>(input.at(batch.first)),
                       {batch.count, input.shape.channels, input.shape.height, input.shape.width}, at::kFloat);
}

void keep(const at::Tensor& answer, const Run& batch, std::vector<float>& all) {
  const auto width = static_cast<std::size_t>(answer.size(1));
  at::from_blob(all.data() + batch.first * width, answer.sizes(), at::kFloat).copy_(answer);
}

void warm_up_with(const MemberRequest& request, const std::function<void(const at::Tensor&)>& compute) {
  for (const std::uint32_t size : batch_sizes(request)) {
    const at::Tensor images =
        at::full({size, request.shape.channels, request.shape.height, request.shape.width}, 0.5, at::kFloat);
    for (int call = 0; call < worker::kWarmUpCalls; ++call) compute(images);
  }
}

}  // namespace tutti::bench
