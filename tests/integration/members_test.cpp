// Members that come to an ensemble and go from it while it predicts: who answers which call.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "tests/common/temporary_folder.hpp"
#include "tests/integration/members.hpp"

namespace tutti::test {
namespace {

TEST_CASE("members that come and go leave an ensemble that answers as one that was started with those it has") {
  const NothingLeft census;
  auto spec = tough(2);
  spec.combine.rule = CombineRule::weighted;
  spec.save_members = true;
  spec.members[0].weight = 0.5;
  const auto images = random_images(30);
  Ensemble ensemble(published(spec), with_worker());
  const auto answers_like = [&](const config::EnsembleSpec& now) {
    Ensemble fresh(published(now), with_worker());
    const Predictions wanted = fresh.predict(view(images));
    const Predictions got = ensemble.predict(view(images));
    CHECK(got.values == wanted.values);
    CHECK(got.predicted == wanted.predicted);
    REQUIRE(got.members.size() == wanted.members.size());
    for (std::size_t m = 0; m < got.members.size(); ++m) {
      CHECK(got.members[m].name == wanted.members[m].name);
      CHECK(got.members[m].values == wanted.members[m].values);
    }
    CHECK(names_of(ensemble.status()) == names_of(fresh.status()));
    CHECK(ensemble.health().ready);
    CHECK(ensemble.spec().checked().members == now.members);
  };
  auto more = further("x");
  more.weight = 3;
  spec = with(spec, more);
  ensemble.add_member(more);
  answers_like(spec);
  const int gone = ensemble.status().members[0].pid;
  spec = without(spec, 0);
  ensemble.remove_member("m0");
  answers_like(spec);
  CHECK(happens([&] { return !is_there(gone); }));
  // Its name and its place are free.
  spec = with(spec, further("m0", 5));
  ensemble.add_member(further("m0", 5));
  answers_like(spec);
  spec = without(without(spec, 1), 0);
  ensemble.remove_member("m1");
  ensemble.remove_member("x");
  answers_like(spec);
  CHECK(ensemble.status().faults == FaultCounts{});
}

TEST_CASE("with the rule none members of other shapes come, too") {
  const NothingLeft census;
  auto spec = tough(2);
  spec.combine.rule = CombineRule::none;
  spec.combine.over = OutputKind::logits;
  const auto images = random_images(9);
  Ensemble ensemble(published(spec), with_worker());
  auto wide = further("wide");
  fake_of(wide).classes = 7;
  ensemble.add_member(wide);
  ensemble.remove_member("m0");
  ensemble.add_member(further("last"));
  const Predictions got = ensemble.predict(view(images));
  REQUIRE(got.members.size() == 3);
  CHECK(got.members[1].values.size() == 9 * 7);
  Ensemble fresh(ensemble.spec(), with_worker());
  CHECK(fresh.predict(view(images)).members[2].values == got.members[2].values);
}

/// Calls of several segments by several threads, each answered by one of the lineups that there were meanwhile.
class Callers {
 public:
  Callers(Ensemble& ensemble, const std::vector<config::EnsembleSpec>& lineups) : ensemble_(ensemble) {
    for (const auto& lineup : lineups) allowed_.push_back(naive_mean(lineup, images_));
    for (int n = 0; n < 2; ++n) threads_.emplace_back([this, n] { run(n == 0); });
  }
  Callers(const Callers&) = delete;
  Callers& operator=(const Callers&) = delete;
  ~Callers() { stop(); }
  void stop() {
    stopped_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  int right() const { return right_; }
  int wrong() const { return wrong_; }

 private:
  void run(bool submits) {
    while (!stopped_) {
      std::vector<std::future<Predictions>> futures;
      if (submits)
        for (int n = 0; n < 4; ++n) futures.push_back(ensemble_.submit(view(images_)));
      else
        note(ensemble_.predict(view(images_)).values);
      for (auto& future : futures) note(future.get().values);
    }
  }
  void note(const std::vector<float>& values) {
    ++(std::ranges::find(allowed_, values) != allowed_.end() ? right_ : wrong_);
  }

  Ensemble& ensemble_;
  const std::vector<float> images_ = random_images(20);
  std::vector<std::vector<float>> allowed_;
  std::atomic<bool> stopped_ = false;
  std::atomic<int> right_ = 0;
  std::atomic<int> wrong_ = 0;
  std::vector<std::thread> threads_;
};

TEST_CASE("no call is lost or answered by two lineups while members come and go and die") {
  const NothingLeft census;
  const auto spec = tough(2);
  const auto x = further("x", 41);
  const auto y = further("y", 42);
  const auto three = with(spec, x);
  const auto four = with(three, y);
  Ensemble ensemble(published(spec), with_worker());
  Callers callers(ensemble, {spec, three, four, without(four, 2)});
  const auto more_answers = [&] {
    const int before = callers.right();
    CHECK(happens([&] { return callers.right() > before + 5; }));
  };
  for (int round = 0; round < 4; ++round) {
    more_answers();
    ensemble.add_member(x);
    more_answers();
    ensemble.add_member(y);
    const std::vector<MemberStatus> members = ensemble.status().members;
    ::kill(members[static_cast<std::size_t>(round)].pid, SIGKILL);  // each once: the last two are x and y
    more_answers();
    ensemble.remove_member("x");
    more_answers();
    ensemble.remove_member("y");
  }
  callers.stop();
  CHECK(callers.wrong() == 0);
  CHECK(names_of(ensemble.status()) == Names{"m0", "m1"});
  CHECK(happens([] { return children_of(::getpid()).size() == 2; }));
}

TEST_CASE("a call that is in flight is finished by the members with which it began") {
  const NothingLeft census;
  SlowCall call;
  call.ensemble.remove_member("m1");
  CHECK(names_of(call.ensemble.status()) == Names{"m0"});
  std::future<Predictions> later = call.ensemble.submit(view(call.images));
  call.ensemble.add_member(further("m1", 9));
  CHECK(is_there(call.pid));
  CHECK(call.left == 0);
  std::future<Predictions> last = call.ensemble.submit(view(call.images));
  CHECK(call.running.get().values == naive_mean(call.spec, call.images));
  CHECK(later.get().values == naive_mean(without(call.spec, 1), call.images));
  CHECK(last.get().values == naive_mean(with(without(call.spec, 1), further("m1", 9)), call.images));
  CHECK(happens([&] { return !is_there(call.pid) && call.left == 1; }));
}

TEST_CASE("a member goes while a call that asks it has been given up") {
  const NothingLeft census;
  auto spec = tough(2);
  fake_model(spec, 1).delay_us = 200'000;
  const auto images = random_images(30);
  Ensemble ensemble(published(spec), with_worker());
  const int pid = ensemble.status().members[1].pid;
  std::stop_source stop;
  std::future<Predictions> running = ensemble.submit(view(images), {.stop = stop.get_token()});
  CHECK(happens([&] { return ensemble.status().members[1].segments_handed_out > 0; }));
  stop.request_stop();
  CHECK_THROWS_AS(running.get(), Error);
  ensemble.remove_member("m1");
  CHECK(ensemble.predict(view(images)).values == naive_mean(without(spec, 1), images));
  CHECK(happens([&] { return !is_there(pid); }));
}

TEST_CASE("members come and go many times and nothing grows") {
  const NothingLeft census;
  const auto spec = tough(1);
  const auto images = random_images(3);
  Ensemble ensemble(published(spec), with_worker());
  std::uint32_t most = 0;
  for (int round = 0; round < 30; ++round) {
    ensemble.add_member(further("x"));
    CHECK(ensemble.predict(view(images)).values == naive_mean(with(spec, further("x")), images));
    most = std::max(most, ensemble.status().members[1].worker);
    ensemble.remove_member("x");
  }
  CHECK(most <= 3);  // places are taken again, though one may still be left when the next member comes
  CHECK(happens([] { return children_of(::getpid()).size() == 1; }));
}

TEST_CASE("a further member that dies is replaced and told like the others") {
  const NothingLeft census;
  auto spec = tough(1);
  spec.failure.spares = Spares::member;
  const auto images = random_images(20);
  Options options = with_worker();
  std::atomic<int> died = 0;
  std::atomic<int> others = 0;
  std::atomic<int> replaced = 0;
  std::atomic<int> joined = 0;
  std::atomic<int> left = 0;
  options.on_event = [&](const Event& event) {
    if (event.member == "x" && event.kind == Event::Kind::died)
      ++died;
    else if (event.member == "x" && event.kind == Event::Kind::replaced)
      ++replaced;
    else if (event.member == "x" && event.kind == Event::Kind::joined)
      ++joined;
    else if (event.member == "x" && event.kind == Event::Kind::left)
      ++left;
    else if (event.kind != Event::Kind::restored)
      ++others;
  };
  Ensemble ensemble(published(spec), options);
  ensemble.add_member(further("x"));
  CHECK(happens([&] { return joined == 1; }));
  CHECK(happens([] { return children_of(::getpid()).size() == 4; }));  // two with a spare each
  const MemberStatus before = ensemble.status().members[1];
  CHECK(before.generation == 0);
  CHECK(before.kind == "fake");
  CHECK(before.output == Dims{4});
  REQUIRE(::kill(before.pid, SIGKILL) == 0);
  CHECK(ensemble.predict(view(images)).values == naive_mean(with(spec, further("x")), images));
  CHECK(happens([&] { return died == 1 && replaced == 1; }));
  CHECK(ensemble.status().faults.deaths == 1);
  CHECK(left == 0);
  ensemble.remove_member("x");
  CHECK(happens([&] { return left == 1; }));
  CHECK(happens([] { return children_of(::getpid()).size() == 2; }));
  CHECK(joined == 1);
  CHECK(others == 0);
}

TEST_CASE("a member goes in the middle of its replacement") {
  const NothingLeft census;
  auto spec = tough(2);
  spec.failure.back_off = 3600;
  const auto images = random_images(20);
  Ensemble ensemble(published(spec), with_worker());
  const auto kill_next = [&] {
    const int pid = ensemble.status().members[1].pid;
    if (pid != 0) ::kill(pid, SIGKILL);
    return ensemble.status().members[1].state == WorkerState::waiting;
  };
  SUBCASE("that waits") { CHECK(happens(kill_next)); }
  SUBCASE("that starts, perhaps") { ::kill(ensemble.status().members[1].pid, SIGKILL); }
  ensemble.remove_member("m1");
  CHECK(ensemble.predict(view(images)).values == naive_mean(without(spec, 1), images));
  CHECK(happens([] { return children_of(::getpid()).size() == 1; }));
  CHECK(ensemble.health().ready);
  CHECK(ensemble.health().problems.empty());
}

TEST_CASE("a member that was left out goes and another takes its place") {
  const NothingLeft census;
  auto spec = plain(2);
  spec.failure.on_worker_failure = OnWorkerFailure::degrade;
  spec.failure.restart_limit = 0;
  const auto images = random_images(20);
  Ensemble ensemble(published(spec), with_worker());
  REQUIRE(::kill(ensemble.status().members[1].pid, SIGKILL) == 0);
  CHECK(happens([&] { return ensemble.status().members[1].state == WorkerState::absent; }));
  CHECK(message_of([&] { ensemble.remove_member("m0"); }) ==
        "m0 is the last member that predicts, and cannot be removed");
  ensemble.remove_member("m1");
  CHECK(ensemble.health().problems.empty());
  ensemble.add_member(further("m1"));
  CHECK(ensemble.predict(view(images)).values == naive_mean(with(without(spec, 1), further("m1")), images));
}

TEST_CASE("an ensemble that is closed while a member that was removed still computes ends as ever") {
  const NothingLeft census;
  auto spec = tough(2);
  fake_model(spec, 1).delay_us = 300'000;
  const auto images = random_images(30);
  std::future<Predictions> running;
  {
    Ensemble ensemble(published(spec), with_worker());
    running = ensemble.submit(view(images));
    ensemble.remove_member("m1");
  }
  CHECK_THROWS_AS(running.get(), Error);
}

TEST_CASE("members come and go in a callback and one that throws changes nothing") {
  const NothingLeft census;
  const auto spec = tough(2);
  const auto images = random_images(20);
  Ensemble ensemble(published(spec), with_worker());
  std::promise<void> done;
  ensemble.submit(view(images), [&](std::future<Predictions> future) {
    CHECK(future.get().values == naive_mean(spec, images));
    ensemble.remove_member("m0");
    ensemble.add_member(further("x"));
    done.set_value();
    throw std::runtime_error("what a callback throws is logged");
  });
  done.get_future().get();
  const auto now = with(without(spec, 0), further("x"));
  CHECK(ensemble.predict(view(images)).values == naive_mean(now, images));
}

TEST_CASE("a member that came gets new versions and so do those behind one that went") {
  const NothingLeft census;
  const auto spec = tough(3);
  const auto images = random_images(20);
  Ensemble ensemble(published(spec), with_worker());
  ensemble.remove_member("m0");
  ensemble.add_member(further("x"));
  for (const std::size_t place : {1, 2}) {
    config::EnsembleSpec next = ensemble.spec().checked();
    next.members[place].seed += 1000;
    ensemble.replace_member(next.members[place].name, published(next));
    CHECK(ensemble.predict(view(images)).values == naive_mean(next, images));
    CHECK(ensemble.spec().checked() == next);
  }
  CHECK(names_of(ensemble.status()) == Names{"m1", "m2", "x"});
}

TEST_CASE("a stream is answered by the members with which it began") {
  const NothingLeft census;
  const auto spec = tough(2);
  const auto images = random_images(100);
  Ensemble ensemble(published(spec), with_worker());
  struct Removing final : ListSink {
    explicit Removing(Ensemble& one) : ensemble(one) {}
    void write(const SegmentResult& result) override {
      if (firsts.empty()) ensemble.remove_member("m1");
      ListSink::write(result);
    }
    Ensemble& ensemble;
  };
  ListSource source(images, {});
  Removing sink(ensemble);
  ensemble.run(source, sink);
  CHECK(sink.values == naive_mean(spec, images));
  CHECK(ensemble.predict(view(images)).values == naive_mean(without(spec, 1), images));
}

TEST_CASE("a trace names a member that came") {
  const NothingLeft census;
  const TemporaryFolder folder;
  const auto file = folder.path() / "trace.json";
  {
    Options options = with_worker();
    options.trace = file;
    Ensemble ensemble(published(plain(2)), options);
    ensemble.remove_member("m0");
    ensemble.add_member(further("newcomer"));
    const auto images = random_images(20);
    ensemble.predict(view(images));
  }
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  for (const char* name : {"\"m0\"", "\"m1\"", "\"newcomer\""}) CHECK(contains(text, name));
}

}  // namespace
}  // namespace tutti::test
