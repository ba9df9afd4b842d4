#include "coordinator/program/evaluating_sink.hpp"

namespace tutti::program {

EvaluatingSink::EvaluatingSink(Evaluation& evaluation, const std::filesystem::path& folder, std::uint64_t images,
                               Sink* next)
    : evaluation_(evaluation), next_(next) {
  if (evaluation.has_classes())
    disagreement_.emplace(folder / "disagreement.npy", images::NpyType::float32,
                          std::vector{images, std::uint64_t{images::kDisagreementColumns}});
}

void EvaluatingSink::write(const SegmentResult& result) {
  evaluation_.add(result);
  for (const images::DisagreementRow& row : evaluation_.disagreement_rows())
    disagreement_->write(std::span<const float>(row));
  rows_ += result.count;
  if (next_ != nullptr) next_->write(result);
}

void EvaluatingSink::finish() {
  if (!disagreement_) return;
  disagreement_->finish();
  images::remove_partial(images::partial_of(disagreement_->path()));
}

void EvaluatingSink::finish_partial() {
  if (disagreement_ && rows_ > 0) disagreement_->finish_partial(images::partial_of(disagreement_->path()), rows_);
}

}  // namespace tutti::program
