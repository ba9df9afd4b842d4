// What a caller waits while a member gets a new version, comes or goes: calls of one segment, one after the other, and
// the slowest of them meanwhile. One row per figure, with the aim.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tutti/ensemble.hpp>

#include "bench/measuring_program.hpp"
#include "bench/rows.hpp"
#include "common/standard_streams.hpp"

namespace {

using namespace tutti;
using namespace tutti::bench;
using Clock = std::chrono::steady_clock;

constexpr ImageShape kShape{3, 32, 32};
constexpr std::size_t kSegment = 32;

/// Two members, which sleep instead of computing, so that the new version is loaded on cores that are free.
Spec spec_with(int seed) {
  return parse_spec(
      members_yaml("{kind: fake, delay_ms: 5}", 2) +
          fmt::format("segment_images: {}\nbatch_images: {}\ninput: {{shape: [3, 32, 32]}}\n", kSegment, kSegment),
      {fmt::format("members.0.seed={}", seed)});
}

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// Predicts a segment again and again on a thread of its own, and keeps how long each call took. A call that throws
/// ends it: stop() throws the same.
class Caller {
 public:
  explicit Caller(Ensemble& ensemble) : thread_([this, &ensemble] { run(ensemble); }) {}
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  ~Caller() { join(); }
  std::vector<double> stop() {
    join();
    if (lost_) std::rethrow_exception(lost_);
    return milliseconds_;
  }

 private:
  void join() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }
  void run(Ensemble& ensemble) try {
    const std::vector<float> pixels(kSegment * kShape.elements(), 0.5F);
    while (!stopped_) {
      const auto begin = Clock::now();
      ensemble.predict({std::span<const float>(pixels), kShape});
      milliseconds_.push_back(milliseconds_since(begin));
    }
  } catch (...) {
    lost_ = std::current_exception();
  }

  std::vector<double> milliseconds_;  // of the thread until it has ended
  std::exception_ptr lost_;           // of the thread until it has ended
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

/// A change of members, measured under load.
class Change {
 public:
  Change(std::string name, std::string aim) : name_(std::move(name)), aim_(std::move(aim)) {}

  template <class Call>
  void measure(Ensemble& ensemble, double usual, const Call& call) {
    Caller busy(ensemble);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const auto begin = Clock::now();
    call();
    taken_.push_back(milliseconds_since(begin));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const double slowest = std::ranges::max(busy.stop());
    beyond_.push_back(slowest - usual);
    times_.push_back(slowest / usual);
  }
  void add_rows(Rows& out) const {
    out.add(fmt::format("... {}() under load", name_), taken_, "ms", "");
    out.add("... the slowest call meanwhile, beyond the usual one", beyond_, "ms", aim_);
    out.add("... the slowest call meanwhile, by the usual one", times_, "times", "");
  }

 private:
  const std::string name_;
  const std::string aim_;
  std::vector<double> taken_;
  std::vector<double> beyond_;
  std::vector<double> times_;
};

double usual_call(Ensemble& ensemble) {
  Caller quiet(ensemble);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  std::vector<double> calls = quiet.stop();
  std::ranges::sort(calls);
  return calls[calls.size() / 2];
}

/// Every call is answered, or the program ends with its error.
void measure(Rows& out, int repeats) {
  Ensemble ensemble(spec_with(1));
  MemberSpec further = ensemble.spec().checked().members[0];
  further.name = "further";
  std::vector<double> usual;
  Change replacing("replace_member", "<= 10");
  Change adding("add_member", "<= 10");
  Change removing("remove_member", "<= 10");
  for (int i = 0; i < repeats; ++i) {
    usual.push_back(usual_call(ensemble));
    replacing.measure(ensemble, usual.back(), [&] { ensemble.replace_member("m0", spec_with(2 + i)); });
    adding.measure(ensemble, usual.back(), [&] { ensemble.add_member(further); });
    removing.measure(ensemble, usual.back(), [&] { ensemble.remove_member(further.name); });
  }
  out.add("two fake members of 5 ms per segment: a call of one segment", usual, "ms", "");
  for (const Change* change : {&replacing, &adding, &removing}) change->add_rows(out);
}

}  // namespace

int main(int argc, char** argv) {
  tutti::open_missing_standard_streams();
  return measuring_program(argc, argv, "new-version", "What a caller waits while a member is replaced, comes or goes",
                           measure);
}
