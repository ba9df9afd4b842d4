#include "program/scoreboard.hpp"

namespace tutti::program {

Scoreboard::Scoreboard(const config::CombineSpec& combine, bool scored, Progress& progress, Sink* next,
                       const std::vector<MaybeMetrics>* members)
    : scores_(combine, scored, members), progress_(progress), next_(next) {}

void Scoreboard::write(const SegmentResult& result) {
  if (next_ != nullptr) next_->write(result);
  images_ += result.count;
  scores_.add(result);
  progress_.show(images_);
}

}  // namespace tutti::program
