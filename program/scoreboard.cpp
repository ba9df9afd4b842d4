#include "program/scoreboard.hpp"

namespace tutti::program {

Scoreboard::Scoreboard(const config::CombineSpec& combine, bool scored, LabelScores& labels, Progress& progress,
                       Sink* next, const ScoredMembers& members)
    : scores_(combine, scored, members.classes),
      labels_(labels),
      elsewhere_(members.labels),
      progress_(progress),
      next_(next) {}

void Scoreboard::write(const SegmentResult& result) {
  if (next_ != nullptr) next_->write(result);
  images_ += result.count;
  scores_.add(result);
  labels_.add(result);
  progress_.show(images_);
}

}  // namespace tutti::program
