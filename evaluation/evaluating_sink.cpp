#include "evaluation/evaluating_sink.hpp"

#include <utility>

namespace tutti {

EvaluatingSink::EvaluatingSink(Evaluation& evaluation, const std::filesystem::path& folder, std::uint64_t images,
                               Sink* next, Unfinished unfinished)
    : evaluation_(evaluation), next_(next) {
  if (evaluation.has_classes())
    disagreement_.emplace(folder / "disagreement.npy", images::NpyType::float32,
                          std::vector{images, std::uint64_t{images::kDisagreementColumns}}, unfinished);
}

void EvaluatingSink::add_table(const std::filesystem::path& file, const Source& names, std::uint32_t classes,
                               std::vector<images::TableColumn> columns) {
  table_.emplace(file, names, classes, std::move(columns));
}

void EvaluatingSink::write(const SegmentResult& result) {
  evaluation_.add(result);
  if (disagreement_) {
    std::vector<float> rows;
    for (const images::DisagreementRow& row : evaluation_.disagreement_rows())
      rows.insert(rows.end(), row.begin(), row.end());
    disagreement_->write_rows(result.first, std::span<const float>(rows));
  }
  if (table_) table_->write(evaluation_.answered(result, 0));
  rows_ += result.count;
  if (next_ != nullptr) next_->write(result);
}

void EvaluatingSink::read_segment(const SegmentResult& result, images::SumReader& in) {
  evaluation_.read_segment(result, in);
  rows_ += result.count;
}

void EvaluatingSink::finish_table() {
  if (!table_) return;
  table_->finish();
  images::remove_partial(images::partial_of(table_->path()));
}

void EvaluatingSink::finish() {
  finish_table();
  if (!disagreement_) return;
  disagreement_->finish();
  images::remove_partial(images::partial_of(disagreement_->path()));
}

void EvaluatingSink::finish_and_stay() {
  finish_table();
  if (!disagreement_) return;
  disagreement_->finish_and_stay();
  images::remove_partial(images::partial_of(disagreement_->path()));
}

void EvaluatingSink::finish_partial() {
  if (rows_ == 0) return;
  if (table_) table_->finish_partial(images::partial_of(table_->path()));
  if (disagreement_) disagreement_->finish_partial(images::partial_of(disagreement_->path()), rows_);
}

}  // namespace tutti
