#include "bench/single/torch/networks.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include <tutti/error.hpp>

#include "bench/single/members.hpp"
#include "worker/torch/models.hpp"
#include "worker/warm_up.hpp"

namespace tutti::bench {
namespace {

std::string_view device_of(const MemberRequest& member) { return member.cuda ? "a GPU" : "the CPU"; }

void check(const SingleJob& job) {
  if (!are_networks(job))
    throw Error(ErrorKind::failed,
                fmt::format("'{}' on a GPU holds only members of the kind small-cnn or mlp", to_name(job.strategy)),
                "models of other kinds copy their images themselves, which cannot be recorded",
                "use 'threads', which gives each member a stream");
  for (const MemberRequest& member : job.members) {
    if (member.output != OutputKind::logits || member.over == OutputKind::features ||
        member.over != job.members.front().over)
      throw Error(
          ErrorKind::failed,
          fmt::format("'{}' gives either logits or probabilities for all members", to_name(job.strategy)),
          fmt::format("'{}' should give {} from {}", member.name, to_name(member.over), to_name(member.output)));
  }
}

}  // namespace

bool are_networks(const SingleJob& job) {
  return std::ranges::all_of(job.members, [](const MemberRequest& member) { return facts_of(member.model).fusable; });
}

bool on_gpu(const SingleJob& job) {
  const MemberRequest& first = job.members.front();
  for (const MemberRequest& member : job.members)
    if (member.cuda != first.cuda)
      throw Error(
          ErrorKind::failed, fmt::format("'{}' needs all members on one device", to_name(job.strategy)),
          fmt::format("'{}' is on {}, '{}' on {}", first.name, device_of(first), member.name, device_of(member)),
          "assign all members to the CPU, or to the same GPU");
  return first.cuda;
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
      throw Error(ErrorKind::failed, fmt::format("'{}' needs the same batch for all members", to_name(job.strategy)),
                  fmt::format("{} images for '{}', {} for '{}'", first.batch_images, first.name, member.batch_images,
                              member.name),
                  "give all members the same batch, or use 'sequential' or 'threads'");
  return first.batch_images;
}

bool see_the_same(const SingleJob& job) {
  const MemberRequest& first = job.members.front();
  return std::ranges::all_of(job.members, [&](const MemberRequest& member) { return member.takes == first.takes; });
}

CommonImages::CommonImages(const SingleJob& job)
    : shape_(images_of(job.members.front())), preprocess_(job.members.front()) {
  if (!see_the_same(job))
    throw Error(ErrorKind::failed, fmt::format("'{}' gives all members the same images", to_name(job.strategy)),
                "the members prepare theirs differently", "use 'sequential' or 'threads'");
}

at::Tensor CommonImages::operator()(const Input& input, const Run& batch) {
  const worker::Samples images = preprocess_.samples(input.all, static_cast<std::uint32_t>(batch.first), batch.count);
  // from_blob does not take const memory; no operation of these networks writes to its input.
  return at::from_blob(const_cast<float*>(images.floats()), {batch.count, shape_.channels, shape_.height, shape_.width},
                       at::kFloat);
}

void keep(const at::Tensor& answer, const Run& batch, std::vector<float>& all) {
  const auto width = static_cast<std::size_t>(answer.size(1));
  at::from_blob(all.data() + batch.first * width, answer.sizes(), at::kFloat).copy_(answer);
}

at::Tensor made_up(const MemberRequest& request, std::uint32_t count) {
  const ImageShape shape = images_of(request);
  at::Tensor images = at::empty({count, shape.channels, shape.height, shape.width}, at::kFloat);
  // Not by LibTorch, which would start a team of threads for it: see branches.cpp.
  std::fill_n(images.mutable_data_ptr<float>(), images.numel(), 0.5F);
  return images;
}

void warm_up_with(const MemberRequest& request, const std::function<void(const at::Tensor&)>& compute) {
  for (const std::uint32_t size : batch_sizes(request)) {
    const at::Tensor images = made_up(request, size);
    for (int call = 0; call < worker::kWarmUpCalls; ++call) compute(images);
  }
}

}  // namespace tutti::bench
