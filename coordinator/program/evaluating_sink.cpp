#include "coordinator/program/evaluating_sink.hpp"

#include <fmt/format.h>

#include <system_error>

#include <tutti/error.hpp>

namespace tutti::program {

EvaluatingSink::EvaluatingSink(Evaluation& evaluation, const std::filesystem::path& folder, std::uint64_t images,
                               Sink* next)
    : evaluation_(evaluation), partial_(folder / "disagreement.partial.npy"), next_(next) {
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
  std::error_code code;
  std::filesystem::remove(partial_, code);
  if (code)
    throw Error(ErrorKind::failed, fmt::format("could not remove {}", partial_.string()), code.message(),
                "it is of an earlier run that ended early; the results of this run are complete");
}

void EvaluatingSink::finish_partial() {
  if (disagreement_ && rows_ > 0) disagreement_->finish_partial(partial_, rows_);
}

}  // namespace tutti::program
