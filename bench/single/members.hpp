// Members like those in the pool's workers, but several in one process: the same models, the same warm-up, the same
// cut.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "bench/single/computation.hpp"
#include "common/wire/member_request.hpp"
#include "worker/model.hpp"
#include "worker/preprocess.hpp"

namespace tutti::bench {

struct Member {
  MemberRequest request;
  std::unique_ptr<worker::Model> model;
  std::unique_ptr<worker::Preprocess> preprocess;

  /// A batch as the member sees it; valid until the next call.
  worker::Samples samples(const Input& input, const Run& batch) {
    return preprocess->samples(input.all, static_cast<std::uint32_t>(batch.first), batch.count);
  }
};

/// Values per image of a member that is warm.
inline std::uint32_t width_of(const Member& member) {
  return static_cast<std::uint32_t>(elements_of(member.model->output()));
}

/// Loads each member of the job, and sets LibTorch's threads if one needs it. Not warm yet. Throws what loading
/// throws, and Error(failed) if a member wants a GPU and there is none.
std::vector<Member> load_members(const SingleJob& job);

/// Warms `member` up like a worker. Several threads may call it for different members, one at a time. Returns the
/// member's width.
std::uint32_t warm_up(Member& member);

/// The width of all members, `width_of(m)` for each. Throws Error(failed) if they differ, since they cannot be
/// combined.
std::uint32_t common_width(const SingleJob& job, const std::function<std::uint32_t(std::size_t)>& width_of);

/// Writes one member's predictions for one segment, batch by batch, into its predictions for all images.
void predict_segment(Member& member, const Input& input, const Run& segment, std::span<float> answers);

/// The batch sizes that occur: that of the request and the shorter ones that it names; each once, the largest first.
std::vector<std::uint32_t> batch_sizes(const MemberRequest& request);

}  // namespace tutti::bench
