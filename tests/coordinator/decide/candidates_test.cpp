// Which of several forms of a model is chosen, and what is said about the others.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <vector>

#include "coordinator/decide/candidates.hpp"

namespace tutti::test {
namespace {

ModelForm candidate(std::string model, double speed, double difference = 0) {
  return {.model = std::move(model), .backend = "x 1", .images_per_second = speed, .difference = difference};
}

ModelForm broken(std::string model, std::string reason) {
  return {.model = std::move(model), .reason = std::move(reason)};
}

TEST_CASE("the fastest candidate is chosen and the others say why they are not") {
  std::vector<ModelForm> all{candidate("a", 100), candidate("b", 300), candidate("c", 200)};
  CHECK(choose(all) == 1);
  CHECK(all[0].reason == "it is slower");
  CHECK(all[1].chosen());
  CHECK(all[2].reason == "it is slower");
}

TEST_CASE("of candidates that are equally fast the first is chosen") {
  std::vector<ModelForm> all{candidate("a", 100), candidate("b", 101.9)};
  CHECK(choose(all) == 0);
  CHECK(all[1].reason == "it is not faster");
  std::vector<ModelForm> more{candidate("a", 100), candidate("b", 103)};
  CHECK(choose(more) == 1);
}

TEST_CASE("a faster candidate whose outputs are too far from the first is refused") {
  std::vector<ModelForm> all{candidate("a", 100), candidate("b", 900, 3e-2), candidate("c", 200, 1e-6)};
  CHECK(choose(all) == 2);
  CHECK(all[1].reason == "its outputs differ from those of a by 3.0e-02 of the largest, and 1e-04 is allowed");
  std::vector<ModelForm> infinite{candidate("a", 100), candidate("b", 900, INFINITY)};
  CHECK(choose(infinite) == 0);
  CHECK(infinite[1].reason == "its outputs differ from those of a by more than any number says, and 1e-04 is allowed");
}

TEST_CASE("a candidate that could not be started is left out and the next one is the first") {
  std::vector<ModelForm> all{broken("a", "there is no library"), candidate("b", 100), candidate("c", 200, 1.0)};
  CHECK(choose(all) == 1);
  CHECK(all[0].reason == "there is no library");
  CHECK(all[2].reason.starts_with("its outputs differ from those of b by"));
}

TEST_CASE("small networks compute alternately five times and large ones for a part of what their trials took") {
  using Seconds = std::chrono::duration<double>;
  const auto turns = [](double each, double trials) {
    int taken = 0;
    while (another_turn(taken, Seconds(taken * each), Seconds(trials))) ++taken;
    return taken;
  };
  CHECK(turns(0.05, 0.9) == 6);
  CHECK(turns(0.07, 0.9) == 5);
  CHECK(turns(0.25, 0.9) == 2);
  CHECK(turns(1, 0.9) == 1);
  CHECK(turns(0.25, 5) == 6);
  CHECK(turns(0.1, 60) == 9);
}

TEST_CASE("the more turns a form has fallen behind in the less it takes to leave it out") {
  CHECK(far_behind(0) > far_behind(1));
  CHECK(far_behind(1) > far_behind(2));
  CHECK(far_behind(2) > 1.2);
  CHECK(far_behind(8) == far_behind(2));
}

TEST_CASE("the speed of several rounds is that of all of them together") {
  AverageSpeed speed;
  CHECK(speed.value() == 0);
  speed.add(0);  // disturbed
  CHECK(speed.value() == 0);
  speed.add(300);
  CHECK(speed.value() == 300);
  speed.add(0);
  speed.add(600);  // as many images in half of the time: in three parts of it, twice as many as in two
  CHECK(speed.value() == doctest::Approx(400));
}

TEST_CASE("nothing is chosen if no candidate could be started") {
  std::vector<ModelForm> all{broken("a", "x"), broken("b", "y")};
  CHECK(choose(all) == std::nullopt);
}

TEST_CASE("a candidate that could be started is chosen even if nothing was measured") {
  std::vector<ModelForm> all{broken("a", "x"), candidate("b", 0)};
  CHECK(choose(all) == 1);
  std::vector<ModelForm> none{candidate("a", 0), candidate("b", 0)};
  CHECK(choose(none) == 0);
  CHECK(none[1].reason == "nothing was measured");
}

TEST_CASE("the choice in one line has the speeds and what went wrong") {
  std::vector<ModelForm> all{candidate("a", 812.4), candidate("b", 1203), broken("c", "cannot open it"),
                             candidate("d", 5000, 1)};
  choose(all);
  CHECK(choice_text(all) ==
        "b (measured: a: 812/s, b: 1203/s, d: 5000/s; c: cannot open it; d: its outputs differ from those of a by "
        "1.0e+00 of the largest, and 1e-04 is allowed)");
  std::vector<ModelForm> wide{candidate("a", 100), candidate("b", 900)};
  choose(wide);
  wide[0].reason = "it outputs 5 per image, and the first form 4";
  CHECK(choice_text(wide) == "b (measured: a: 100/s, b: 900/s; a: it outputs 5 per image, and the first form 4)");
  std::vector<ModelForm> unmeasured{candidate("a", 0), candidate("b", 0)};
  choose(unmeasured);
  CHECK(choice_text(unmeasured) == "a (nothing was measured)");
}

TEST_CASE(
    "what members of one worker take together depends on its mode, its cores, and on whether they wait for these") {
  using Seconds = std::chrono::duration<double>;
  const auto four = [](double seconds, std::uint32_t threads = 1) {
    return std::vector<MemberTime>(4, {Seconds(seconds), threads});
  };
  CHECK(unit_seconds(UnitMode::loop, four(1), Seconds(9), 2).count() == 4);
  CHECK(unit_seconds(UnitMode::fused, four(1), Seconds(9), 2).count() == 4);
  // As many cores as threads: at the same time. Fewer: one after the other, which a member does not notice that is not
  // interrupted.
  CHECK(unit_seconds(UnitMode::threads, four(1), Seconds(9), 4).count() == 1);
  CHECK(unit_seconds(UnitMode::threads, four(1), Seconds(9), 8).count() == 1);
  CHECK(unit_seconds(UnitMode::threads, four(1), Seconds(9), 2).count() == 2);
  CHECK(unit_seconds(UnitMode::threads, four(1), Seconds(9), 1).count() == 4);
  CHECK(unit_seconds(UnitMode::threads, four(1, 2), Seconds(9), 4).count() == 2);
  // One that was interrupted has waited: nobody takes longer than the round.
  CHECK(unit_seconds(UnitMode::threads, four(4), Seconds(4.1), 1).count() == 4.1);
  CHECK(unit_seconds(UnitMode::threads, four(4), Seconds(3.9), 1).count() == 4);
}

}  // namespace
}  // namespace tutti::test
