#include "evaluation/run/scoreboard.hpp"

namespace tutti {

Scoreboard::Scoreboard(const config::CombineSpec& combine, bool scored, LabelScores& labels, ShownImages& progress,
                       Sink* next, const ScoredMembers& members)
    : scores_(combine, scored, members.classes),
      labels_(labels),
      elsewhere_(members.labels),
      progress_(progress),
      next_(next) {}

void Scoreboard::write(const SegmentResult& result) {
  add(result);
  show();
}

void Scoreboard::add(const SegmentResult& result) {
  if (next_ != nullptr) next_->write(result);
  images_ += result.count;
  scores_.add(result);
  labels_.add(result);
}

void Scoreboard::write_segment(images::SumWriter& out) const {
  scores_.write_segment(out);
  labels_.write_segment(out);
}

void Scoreboard::read_segment(const SegmentResult& result, images::SumReader& in) {
  images_ += result.count;
  scores_.read_segment(result, in);
  labels_.read_segment(result, in);
  show();
}

}  // namespace tutti
