// One member after another, segment by segment, like a plain program. It can also train.
#include <chrono>

#include "bench/single/computation.hpp"
#include "bench/single/members.hpp"
#include "common/random.hpp"

namespace tutti::bench {
namespace {

using Clock = std::chrono::steady_clock;

class Sequential final : public Computation {
 public:
  explicit Sequential(const SingleJob& job) : members_(load_members(job)) {
    for (Member& member : members_) warm_up(member);
    width_ = common_width(job, [this](std::size_t m) { return width_of(members_[m]); });
  }

  std::uint32_t width() const override { return width_; }

  std::vector<double> predict(const Input& input, MemberAnswers& answers) override {
    std::vector<double> seconds(members_.size());
    for_each_segment(input, [&](const Run& segment) {
      for (std::size_t m = 0; m < members_.size(); ++m) {
        const auto begin = Clock::now();
        predict_segment(members_[m], input, segment, answers[m]);
        seconds[m] += std::chrono::duration<double>(Clock::now() - begin).count();
      }
    });
    return seconds;
  }

  void train(const Input& input, std::uint32_t epochs) override {
    for (Member& member : members_) {
      worker::Trainable& learner = worker::trainable_part(*member.model, member.request, "trained");
      learner.begin_training();
      for (std::uint32_t epoch = 0; epoch < epochs; ++epoch)
        for_each_segment(input, [&](const Run& segment) { learn(member, learner, input, segment); });
    }
  }

 private:
  // As the worker's loop does with the segment of a task.
  void learn(Member& member, worker::Trainable& learner, const Input& input, const Run& segment) {
    rows_.clear();
    for (std::uint32_t row = 0; row < segment.count; ++row)
      rows_.insert(rows_.end(), member.request.bootstrap ? poisson_one(member.request.seed, segment.first + row) : 1U,
                   row);
    const worker::Samples samples = member.samples(input, segment);
    const auto labels = input.labels.subspan(segment.first, segment.count);
    for_each_batch(
        {0, static_cast<std::uint32_t>(rows_.size())}, member.request.train_batch_images,
        [&](const Run& batch) { learner.train(samples, labels, std::span(rows_).subspan(batch.first, batch.count)); });
  }

  std::vector<Member> members_;
  std::uint32_t width_ = 0;
  std::vector<std::uint32_t> rows_;  // of the current segment in training, with multiplicity
};

}  // namespace

std::unique_ptr<Computation> make_sequential(const SingleJob& job) { return std::make_unique<Sequential>(job); }

}  // namespace tutti::bench
