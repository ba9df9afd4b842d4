// Members as the pool's workers hold them, but several in one process: the same models, the same warm-up, the same cut.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "bench/single/computation.hpp"
#include "common/wire/member_request.hpp"
#include "worker/model.hpp"

namespace tutti::bench {

struct Member {
  MemberRequest request;
  std::unique_ptr<worker::Model> model;
};

/// Loads each member of the job, and sets LibTorch's threads if one needs it. Not warm yet. Throws what loading
/// throws, and Error(failed) if a member wants a GPU and there is none.
std::vector<Member> load_members(const SingleJob& job);

/// Warms `member` up as a worker does. Several threads may call it for different members: they take turns. Returns the
/// member's width.
std::uint32_t warm_up(Member& member);

/// The width that all members have, `width_of(m)` for each. Throws Error(failed) if they differ: there is no common
/// answer then.
std::uint32_t common_width(const SingleJob& job, const std::function<std::uint32_t(std::size_t)>& width_of);

/// One member's answers to one segment, batch by batch, into its answers to all images.
void predict_segment(Member& member, const Input& input, const Run& segment, std::span<float> answers);

/// The sizes of batch that occur: that of the request and the short ones that it names; each once, the largest first.
std::vector<std::uint32_t> batch_sizes(const MemberRequest& request);

}  // namespace tutti::bench
