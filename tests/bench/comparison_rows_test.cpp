// What the rows of a comparison say.
#include <doctest/doctest.h>

#include <algorithm>

#include "bench/comparison/comparison.hpp"
#include "images/sources.hpp"
#include "tests/common/error_of.hpp"

namespace tutti::bench {
namespace {

using test::contains;

class Rows {
 public:
  Rows() : field_{.departure = departure_}, images_(ImageSet::read(*images::make_random(100, {1, 2, 2}, 0, 1))) {
    for (const char* name : {"a", "b"}) {
      config::MemberSpec member;
      member.name = name;
      member.model.kind = FakeModel{.faults = {}};
      field_.spec.members.push_back(member);
    }
    field_.spec.batch_images = 4;
    field_.machine.why_no_gpu = "no driver";
    result_.tolerance = {1e-5, 0};
    result_.noise = {10, 12};
    add(Contender::sequential_one, {2, 2, 2});
    add(Contender::multiprocess, {1, 1, 1});
  }

  Entry& add(Contender contender, std::vector<double> seconds) {
    result_.entries.push_back({.contender = contender, .setting = {1, 2, 4}, .seconds = std::move(seconds)});
    result_.entries.back().agreement = Agreement{true, 0, 0, true};
    result_.entries.back().start_up = {0.5};
    result_.entries.back().memory = {30};
    return result_.entries.back();
  }
  Row row(const std::string& name) const {
    for (auto& rows : {strategy_rows(result_, field_, images_), other_rows(result_, field_, images_)})
      for (const Row& row : rows)
        if (row.name == name) return row;
    FAIL(name);
    return {};
  }
  Field& field() { return field_; }
  ComparisonResult& result() { return result_; }

 private:
  Departure departure_;
  Field field_;
  ImageSet images_;
  ComparisonResult result_;
};

TEST_CASE("a row holds its ratios to one thread and to the pool and whether it agrees") {
  Rows rows;
  rows.add(Contender::threads, {0.8, 0.8, 0.8}).agreement = Agreement{false, 2e-6, 0, true};
  const Row row = rows.row("threads");
  CHECK(row.samples == std::vector<double>{0.8, 0.8, 0.8});
  CHECK(row.note ==
        "2 at once, 1 thread each; 125 images/s; 2.50x sequential one-thread; 1.25x the pool; differs by at most 2e-06 "
        "(tolerance 1e-05)");
  CHECK(row.conditions.at("members") == 2);
  CHECK(row.conditions.at("model") == "fake");
  CHECK(row.conditions.at("batch_images") == 4);
  CHECK(row.conditions.at("images") == 100);
}

TEST_CASE("a strategy that loses is shown losing") {
  Rows rows;
  rows.add(Contender::branches, {4, 4});
  CHECK(contains(rows.row("single graph, branches").note, "0.50x sequential one-thread; 0.25x the pool"));
}

TEST_CASE("a strategy at its own batch says which and is another figure") {
  Rows rows;
  Entry& entry = rows.add(Contender::threads, {1});
  entry.own_batch = true;
  entry.setting.batch_images = 20;
  const Row row = rows.row("threads, its own batch");
  CHECK(contains(row.note, "batch 20"));
  CHECK(row.conditions.at("batch_images") == "own");
}

TEST_CASE("what was skipped says why") {
  Rows rows;
  rows.add(Contender::fused, {}).skipped = "members differ";
  CHECK(rows.row("single graph, fused").skipped == "members differ");
}

TEST_CASE("members on the CPU have no rows of a GPU") {
  Rows rows;
  const auto all = strategy_rows(rows.result(), rows.field(), ImageSet::read(*images::make_random(1, {1, 1, 1}, 0, 1)));
  CHECK(all.size() == 2);
  CHECK(std::none_of(all.begin(), all.end(), [](const Row& row) { return !row.skipped.empty(); }));
  CHECK(all.front().conditions.at("device") == "cpu");
}

TEST_CASE("the fastest strategy is named with its lead over the next") {
  Rows rows;
  rows.result().noise = {10, 10.2};
  rows.add(Contender::threads, {1.5, 1.5, 1.5});
  CHECK(verdict_of(rows.result()) ==
        std::vector<std::string>{"'multiprocess (the pool)' is fastest: 1.000 s, 33 % less than 'threads' (1.500 s)"});
  Entry& own = rows.add(Contender::threads, {0.5, 0.5, 0.5});
  own.own_batch = true;
  CHECK(verdict_of(rows.result()).size() == 1);  // there is nothing to compare it with
}

TEST_CASE("a lead within the noise is no lead and a machine that is not steady is a warning") {
  Rows rows;  // its noise is 20 %
  rows.add(Contender::threads, {1.1, 1.1, 1.1});
  const auto lines = verdict_of(rows.result());
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] ==
        "no strategy is clearly the fastest: 'multiprocess (the pool)' leads 'threads' by 10.0 %, which is within the "
        "noise");
  CHECK(lines[1] ==
        "warning: the machine was not steady: the same arithmetic took 20 % longer in one round than in another, so "
        "differences below that mean nothing");
  rows.result().noise = {10, 10};
  CHECK(verdict_of(rows.result()).size() == 1);
  CHECK(contains(verdict_of(rows.result()).front(), " is fastest: "));
  rows.add(Contender::branches, {0.8, 1.0, 1.2});  // it scatters by more than it leads
  CHECK(contains(verdict_of(rows.result()).front(), "no strategy is clearly the fastest"));
}

TEST_CASE("on a GPU a row tells its streams") {
  Rows rows;
  rows.add(Contender::branches, {4, 4});
  rows.field().cuda = true;
  CHECK(rows.row("single graph, branches").note.starts_with("2 streams; "));
}

TEST_CASE("start and memory and noise are rows of their own") {
  Rows rows;
  CHECK(rows.row("start-up: multiprocess (the pool)").samples == std::vector<double>{0.5});
  CHECK(rows.row("memory: sequential, one thread").unit == "MiB");
  const Row noise = rows.row("noise: the same arithmetic on all cores");
  CHECK(noise.samples.size() == 2);
  CHECK(noise.note == "the slowest took 20 % longer than the fastest");
}

TEST_CASE("those that differ beyond the tolerance are named") {
  Rows rows;
  CHECK(rows.result().disagreeing().empty());
  rows.add(Contender::fused, {1}).agreement = Agreement{false, 0.5, 9, false};
  CHECK(rows.result().disagreeing() == std::vector<std::string>{"single graph, fused"});
}

TEST_CASE("kinds of members are named once") {
  Rows rows;
  CHECK(kinds_of(rows.field().spec) == "fake");
  rows.field().spec.members.back().model.kind = SmallCnnModel{};
  CHECK(kinds_of(rows.field().spec) == "fake, small-cnn");
}

}  // namespace
}  // namespace tutti::bench
