// A service whose members change while it predicts: a new one comes, and when it is there, an old one goes. Each call
// is answered by the members that were there when it began, so none fails and none has to wait. Events tell when a
// member has joined, and when one has left: then no call needs it any more. The members are `fake`, which compute
// without LibTorch.
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include <tutti/ensemble.hpp>

namespace {

constexpr tutti::ImageShape kShape{3, 8, 8};
constexpr std::array<float, 192> kImage{};

/// Events come on a thread of their own: this keeps them for the thread that waits.
class Happened {
 public:
  void add(const tutti::Event& event) {
    const std::lock_guard lock(mutex_);
    seen_.insert(std::string(to_text(event.kind)) + " " + event.member);
    changed_.notify_all();
  }
  void wait_for(const std::string& what) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return seen_.contains(what); });
    std::printf("%s\n", what.c_str());
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> seen_;
};

/// Predicts, and says whose predictions were combined.
void predict(tutti::Ensemble& ensemble) {
  const tutti::Predictions p = ensemble.predict(tutti::Images(kImage, kShape));
  std::printf("answered by:");
  for (const tutti::MemberPredictions& member : p.members) std::printf(" %s", member.name.c_str());
  std::printf("\n");
}

}  // namespace

int main() try {
  Happened happened;
  tutti::Options options;
  options.on_event = [&](const tutti::Event& event) { happened.add(event); };
  tutti::Ensemble ensemble(tutti::parse_spec(R"(
    members:
      - {name: a, model: {kind: fake, classes: 5}}
      - {name: b, model: {kind: fake, classes: 5}}
    assignment: cpu
    input: {shape: [3, 8, 8]}
    save_members: true
  )"),
                           options);

  std::atomic<int> failed = 0;
  std::jthread calling([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      try {
        ensemble.predict(tutti::Images(kImage, kShape));
      } catch (const tutti::Error& error) {
        if (failed++ == 0) std::fprintf(stderr, "%s\n", error.what());
      }
    }
  });

  predict(ensemble);
  tutti::MemberSpec more = ensemble.spec().checked().members[0];
  more.name = "c";
  more.seed = 7;
  try {
    ensemble.add_member(more);  // it is loaded and warm when this returns
    happened.wait_for("joined c");
    predict(ensemble);
    ensemble.remove_member("a");  // its worker ends once the calls that it answers have ended
    happened.wait_for("left a");
    predict(ensemble);
    ensemble.remove_member("d");
  } catch (const tutti::Error& error) {
    std::printf("refused: %s\n", error.message().c_str());  // and nothing has changed
  }
  calling.request_stop();
  calling.join();
  std::printf("%d calls failed\n", failed.load());
  return failed == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
