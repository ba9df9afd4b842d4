#include "program/evaluate/evaluating_sink.hpp"

namespace tutti::program {

EvaluatingSink::EvaluatingSink(Evaluation& evaluation, const std::filesystem::path& folder, std::uint64_t images,
                               Sink* next)
    : evaluation_(evaluation), next_(next) {
  if (evaluation.has_classes())
    disagreement_.emplace(folder / "disagreement.npy", images::NpyType::float32,
                          std::vector{images, std::uint64_t{images::kDisagreementColumns}});
}

void EvaluatingSink::add_table(const std::filesystem::path& file, const Source& names, std::uint32_t classes) {
  table_.emplace(file, names, classes);
}

void EvaluatingSink::write(const SegmentResult& result) {
  evaluation_.add(result);
  if (disagreement_)
    for (const images::DisagreementRow& row : evaluation_.disagreement_rows())
      disagreement_->write(std::span<const float>(row));
  if (table_) {
    const Accumulator::Result& answer = evaluation_.answer(0);
    SegmentResult decided = result;
    decided.values = answer.values;
    decided.predicted = answer.predicted;
    decided.width = static_cast<std::uint32_t>(answer.values.size() / result.count);
    table_->write(decided);
  }
  rows_ += result.count;
  if (next_ != nullptr) next_->write(result);
}

void EvaluatingSink::finish() {
  if (table_) {
    table_->finish();
    images::remove_partial(images::partial_of(table_->path()));
  }
  if (!disagreement_) return;
  disagreement_->finish();
  images::remove_partial(images::partial_of(disagreement_->path()));
}

void EvaluatingSink::finish_partial() {
  if (rows_ == 0) return;
  if (table_) table_->finish_partial(images::partial_of(table_->path()));
  if (disagreement_) disagreement_->finish_partial(images::partial_of(disagreement_->path()), rows_);
}

}  // namespace tutti::program
