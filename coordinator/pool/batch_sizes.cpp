#include "coordinator/pool/batch_sizes.hpp"

#include <utility>

#include "common/check.hpp"

namespace tutti {

BatchSizes::BatchSizes(const Plan& plan) : settled_(plan.batches != Batches::to_measure) {
  for (const MemberPlan& member : plan.members) sizes_.push_back(member.request.batch_images);
}

void BatchSizes::try_out(ByRank<std::uint32_t> sizes) {
  TUTTI_CHECK(!settled_);
  TUTTI_CHECK(sizes.size() == sizes_.size());
  sizes_ = std::move(sizes);
}

void BatchSizes::settle(const ByRank<BatchChoice>& choices) {
  TUTTI_CHECK(!settled_, "sizes that are final do not change");
  TUTTI_CHECK(choices.size() == sizes_.size());
  for (const Rank rank : choices.ids()) sizes_[rank] = choices[rank].batch_images;
  settled_ = true;
}

void BatchSizes::set(Rank rank, std::uint32_t batch_images) {
  TUTTI_CHECK(settled_ && batch_images > 0);
  while (sizes_.size() <= rank.value()) sizes_.push_back(1);
  sizes_[rank] = batch_images;
}

CompletionRecord BatchSizes::as_it_counts(CompletionRecord record) const {
  if (!settled_ && record.status == CompletionStatus::not_finite) record.status = CompletionStatus::done;
  return record;
}

}  // namespace tutti
