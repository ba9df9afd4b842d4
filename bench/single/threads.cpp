// Members in threads of one process: the alternative without processes, and without their isolation.
#include <chrono>
#include <utility>

#include "bench/single/computation.hpp"
#include "bench/single/crew.hpp"
#include "bench/single/members.hpp"
#include "bench/single/torch/device.hpp"

namespace tutti::bench {
namespace {

using Clock = std::chrono::steady_clock;

class Threads final : public Computation {
 public:
  explicit Threads(const SingleJob& job)
      : members_(load_members(job)), crew_(job.between, [cuda = job.members.front().cuda](const auto& serve) {
          const ComputingThread thread(cuda);
          serve();
        }) {
    crew_.each(members_.size(), [this](std::size_t m) { warm_up(members_[m]); });
    width_ = common_width(job, [this](std::size_t m) { return width_of(members_[m]); });
  }

  std::uint32_t width() const override { return width_; }

  std::vector<double> predict(const Input& input, MemberAnswers& answers) override {
    std::vector<double> seconds(members_.size());
    crew_.each(members_.size(), [&](std::size_t m) {
      const auto begin = Clock::now();
      for_each_segment(input, [&](const Run& segment) { predict_segment(members_[m], input, segment, answers[m]); });
      seconds[m] = std::chrono::duration<double>(Clock::now() - begin).count();
    });
    return seconds;
  }

 private:
  std::vector<Member> members_;
  Crew crew_;
  std::uint32_t width_ = 0;
};

}  // namespace

std::unique_ptr<Computation> make_threads(const SingleJob& job) { return std::make_unique<Threads>(job); }

}  // namespace tutti::bench
