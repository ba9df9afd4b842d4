#include "bench/single/members.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <functional>
#include <utility>

#include <tutti/error.hpp>

#include "bench/single/torch/device.hpp"
#include "common/counted.hpp"
#include "common/mutex.hpp"
#include "worker/fake.hpp"
#include "worker/torch/models.hpp"
#include "worker/warm_up.hpp"

namespace tutti::bench {
namespace {

bool is_fake(const MemberRequest& request) { return facts_of(request.model).library == Library::none; }

std::unique_ptr<worker::Model> make_model(const MemberRequest& request) {
  if (is_fake(request)) return worker::make_fake_model(request);
  if (facts_of(request.model).library == Library::torch) return worker::make_torch_model(request);
  throw Error(ErrorKind::usage,
              fmt::format("{}: a {} member cannot be computed in one process with the others", request.name,
                          kind_name(request.model)),
              {}, "compare ensembles whose members are computed by LibTorch");
}

}  // namespace

std::vector<Member> load_members(const SingleJob& job) {
  if (std::ranges::any_of(job.members, &MemberRequest::cuda)) require_cuda();
  std::vector<Member> members;
  for (const MemberRequest& request : job.members)
    members.push_back({request, make_model(request), std::make_unique<worker::Preprocess>(request)});
  return members;
}

std::uint32_t warm_up(Member& member) {
  // The guard that it sets against models that write to their input is the process's.
  static Mutex one_at_a_time;
  const MutexLock lock(one_at_a_time);
  constexpr int kNoControl = -1;
  return static_cast<std::uint32_t>(elements_of(worker::warm_up(*member.model, member.request, kNoControl).output));
}

std::uint32_t common_width(const SingleJob& job, const std::function<std::uint32_t(std::size_t)>& width_of) {
  const std::uint32_t width = width_of(0);
  for (std::size_t m = 1; m < job.members.size(); ++m)
    if (width_of(m) != width)
      throw Error(ErrorKind::failed, "cannot combine the members' predictions",
                  fmt::format("'{}' gives {} per image, '{}' {}", job.members.front().name, counted(width, "value"),
                              job.members[m].name, width_of(m)));
  return width;
}

void predict_segment(Member& member, const Input& input, const Run& segment, std::span<float> answers) {
  const std::size_t width = width_of(member);
  for_each_batch(segment, member.request.batch_images, [&](const Run& batch) {
    member.model->predict(member.samples(input, batch), batch.count,
                          answers.subspan(batch.first * width, batch.count * width));
  });
}

std::vector<std::uint32_t> batch_sizes(const MemberRequest& request) {
  std::vector<std::uint32_t> sizes = request.warm_up_batches;
  sizes.push_back(request.batch_images);
  std::ranges::sort(sizes, std::greater{});
  const auto repeated = std::ranges::unique(sizes);
  sizes.erase(repeated.begin(), repeated.end());
  return sizes;
}

std::string backend_of(const SingleJob& job) {
  const auto fakes = std::ranges::count_if(job.members, is_fake);
  if (fakes == std::ssize(job.members)) return "fake";
  return fmt::format("{}torch {}", fakes > 0 ? "fake, " : "", worker::torch_version());
}

}  // namespace tutti::bench
