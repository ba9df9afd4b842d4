#include "coordinator/pool/batch_sizes.hpp"

#include <cassert>

namespace tutti {

BatchSizes::BatchSizes(const Plan& plan) : settled_(plan.batches != Batches::to_measure) {
  for (const WorkerPlan& worker : plan.workers) sizes_.push_back(worker.request.batch_images);
}

void BatchSizes::settle(const std::vector<BatchChoice>& choices) {
  assert(choices.size() == sizes_.size());
  for (std::size_t rank = 0; rank < choices.size(); ++rank) sizes_[rank] = choices[rank].batch_images;
  settled_ = true;
}

CompletionRecord BatchSizes::as_it_counts(CompletionRecord record) const {
  if (!settled_ && record.status == CompletionStatus::not_finite) record.status = CompletionStatus::done;
  return record;
}

}  // namespace tutti
