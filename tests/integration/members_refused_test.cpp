// Members that cannot come to an ensemble, or may not go from it, and those that are killed or given up on their way:
// the ensemble stays as it is, and the error says why.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stop_token>
#include <thread>

#include "coordinator/api/membership.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/pool/pool.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/members.hpp"

namespace tutti::test {
namespace {

TEST_CASE("a member that cannot come changes nothing and the error says why") {
  const NothingLeft census;
  const auto spec = tough(2);
  const auto images = random_images(20);
  Ensemble ensemble(published(spec), with_worker());
  const auto refused = [&](auto change) {
    auto member = further("x");
    change(member);
    const auto error = error_of([&] { ensemble.add_member(member); });
    REQUIRE(error.has_value());
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
    CHECK(names_of(ensemble.status()) == Names{"m0", "m1"});
    CHECK(happens([] { return children_of(::getpid()).size() == 2; }));
    return *error;
  };
  const auto fails = [](FaultKind kind, FaultPhase phase) {
    return [kind, phase](config::MemberSpec& member) { fake_of(member).faults = {{kind, phase, 0}}; };
  };
  CHECK(contains(refused(fails(FaultKind::exception, FaultPhase::load)).message(), "x cannot join the ensemble: "));
  CHECK(refused(fails(FaultKind::kill, FaultPhase::load)).message() ==
        "x cannot join the ensemble: its worker was killed by SIGKILL");
  CHECK(contains(refused([](config::MemberSpec& member) { fake_of(member).classes = 5; }).what(),
                 "members[2]: member 'x' outputs 5 classes but member 'm0' outputs 4"));
  CHECK(contains(refused([](config::MemberSpec& member) { member.name = "m1"; }).what(),
                 "members[2]: member 2 is called 'm1' like member 1"));
  CHECK(contains(refused([](config::MemberSpec& member) { member.device = config::CpuDevice{{4095}}; }).what(), "x"));
  CHECK(ensemble.status().faults == FaultCounts{});
  ensemble.add_member(further("x"));
  CHECK(ensemble.predict(view(images)).values == naive_mean(with(spec, further("x")), images));
}

TEST_CASE("a member or a new version that does not fit into memory is refused before a process is started") {
  const NothingLeft census;
  const TemporaryFolder folder;
  const auto weights = folder / "large.safetensors";
  std::ofstream(weights).close();
  std::filesystem::resize_file(weights, std::uintmax_t{4} << 40);  // 4 TiB, of which the disk holds nothing
  const auto spec = tough(2);
  const auto images = random_images(3);
  Ensemble ensemble(published(spec), with_worker());
  const auto check_refused = [&](const std::string& name, const std::string& message, const auto& change) {
    const auto error = error_of(change);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::failed);
    CHECK(error->message() == message);
    CHECK(contains(error->detail(), "model of " + name + ": the size of " + weights.string()));
    CHECK_FALSE(contains(error->detail(), "m0"));
    CHECK(names_of(ensemble.status()) == Names{"m0", "m1"});
    CHECK(children_of(::getpid()).size() == 2);
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
  };
  auto large = further("x");
  large.model.weights = weights;
  check_refused("x", "x cannot be added: it does not fit into memory", [&] { ensemble.add_member(large); });
  auto next = spec;
  next.members[1].model.weights = weights;
  check_refused("m1", "the new version of m1 cannot take over: both do not fit into memory",
                [&] { ensemble.replace_member("m1", published(next)); });
  next.members[1].model.weights.clear();
  next.members[1].seed = 99;
  ensemble.replace_member("m1", published(next));
  ensemble.add_member(further("x"));
  CHECK(ensemble.predict(view(images)).values == naive_mean(with(next, further("x")), images));
}

TEST_CASE("a member that is not ready in time or is not wanted any more does not come") {
  const NothingLeft census;
  auto spec = plain(1);
  spec.start_deadline = 5;
  const auto images = random_images(3);
  Ensemble ensemble(published(spec), with_worker());
  auto endless = further("x");
  fake_of(endless).load_delay_ms = 3'000'000;
  CHECK(contains(message_of([&] { ensemble.add_member(endless); }),
                 "x cannot join the ensemble: it was not ready within 5 s"));
  std::stop_source stop;
  std::optional<Error> error;
  std::thread adding([&] { error = error_of([&] { ensemble.add_member(endless, stop.get_token()); }); });
  CHECK(happens([] { return children_of(::getpid()).size() == 2; }));
  stop.request_stop();
  adding.join();
  REQUIRE(error.has_value());
  CHECK(error->kind() == ErrorKind::interrupted);
  CHECK(error->message() == "x was given up before it joined the ensemble");
  CHECK(happens([] { return children_of(::getpid()).size() == 1; }));
  CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
}

TEST_CASE("a process that is killed while a member comes costs that member only") {
  const NothingLeft census;
  const auto spec = tough(1);
  const auto images = random_images(20);
  auto slow = further("x");
  fake_of(slow).load_delay_ms = 300;
  Ensemble ensemble(published(spec), with_worker());
  const int old = ensemble.status().members[0].pid;
  std::optional<Error> error;
  std::thread adding([&] { error = error_of([&] { ensemble.add_member(slow); }); });
  int newcomer = 0;
  CHECK(happens([&] {
    for (const int pid : children_of(::getpid()))
      if (pid != old) newcomer = pid;
    return newcomer != 0;
  }));
  SUBCASE("the member that comes") {
    REQUIRE(::kill(newcomer, SIGKILL) == 0);
    adding.join();
    REQUIRE(error.has_value());
    CHECK(error->message() == "x cannot join the ensemble: its worker was killed by SIGKILL");
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
    CHECK(ensemble.status().faults.deaths == 0);
  }
  SUBCASE("a member that is there") {
    REQUIRE(::kill(old, SIGKILL) == 0);
    CHECK(ensemble.predict(view(images)).values == naive_mean(spec, images));
    adding.join();
    CHECK(!error);
    CHECK(ensemble.predict(view(images)).values == naive_mean(with(spec, slow), images));
    CHECK(ensemble.status().faults.deaths == 1);
  }
}

TEST_CASE("closing an ensemble ends the coming of a member") {
  const NothingLeft census;
  auto endless = further("x");
  fake_of(endless).load_delay_ms = 3'000'000;
  std::thread adding;
  {
    Ensemble ensemble(published(plain(1)), with_worker());
    std::atomic<bool> begun = false;
    adding = std::thread([&] {
      begun = true;
      CHECK(error_of([&] { ensemble.add_member(endless); })->kind() == ErrorKind::interrupted);
    });
    while (!begun) std::this_thread::yield();
    CHECK(happens([] { return children_of(::getpid()).size() > 1; }));
  }
  adding.join();
}

TEST_CASE("a member that is not there or is the last or is weighed by others is not removed") {
  const NothingLeft census;
  auto spec = tough(3);
  spec.combine.rule = CombineRule::weighted;
  spec.members[0].weight = 1;
  spec.members[1].weight = -1;
  spec.members[2].weight = 3;
  Ensemble ensemble(published(spec), with_worker());
  const auto refused = [&](const char* name) {
    const auto error = error_of([&] { ensemble.remove_member(name); });
    REQUIRE(error.has_value());
    CHECK(error->kind() == ErrorKind::usage);
    return std::string(error->what());
  };
  CHECK(contains(refused("m7"), "there is no member 'm7' to remove"));
  CHECK(contains(refused("m7"), "the members are m0, m1, m2"));
  CHECK(contains(refused("m2"), "weight"));  // those of the others sum to 0
  CHECK(names_of(ensemble.status()) == Names{"m0", "m1", "m2"});
  ensemble.remove_member("m0");
  ensemble.remove_member("m1");
  CHECK(contains(refused("m2"), "m2 is the last member, and cannot be removed"));
}

TEST_CASE("an ensemble of a kind whose members stay says so") {
  const NothingLeft census;
  const auto refusals = [](const config::EnsembleSpec& spec, Options options = with_worker()) {
    Ensemble ensemble(published(spec), options);
    const auto adding = error_of([&] { ensemble.add_member(further("x")); });
    REQUIRE(adding.has_value());
    CHECK(adding->kind() == ErrorKind::usage);
    CHECK(!adding->hint().empty());
    CHECK(message_of([&] { ensemble.remove_member("m0"); }) == adding->message());
    return adding->message();
  };
  auto cascade = plain(2);
  cascade.cascade = {{{0}, config::Doubt::confidence_below, 0.5, {1}}};
  CHECK(refusals(cascade) == "members cannot come or go: the ensemble has a 'cascade'");
  auto quorum = plain(2);
  quorum.quorum = config::QuorumSpec{1, {}};
  CHECK(refusals(quorum) == "members cannot come or go: the ensemble has a 'quorum'");
  auto coalesce = plain(2);
  coalesce.coalesce = config::CoalesceSpec{100};
  CHECK(refusals(coalesce) == "members cannot come or go: the ensemble has 'coalesce'");
  Options training = with_worker();
  training.training = true;
  CHECK(refusals(plain(2), training) == "members cannot come or go: the ensemble was made to train");
}

TEST_CASE("a member stays if others could not go on as before without it") {
  const NothingLeft census;
  const auto refusal = [](const config::UnitSpec& unit) {
    auto spec = plain(3);
    spec.workers = {unit};
    Ensemble ensemble(published(spec), with_worker());
    const auto error = error_of([&] { ensemble.remove_member("m1"); });
    REQUIRE(error.has_value());
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(!error->hint().empty());
    CHECK(names_of(ensemble.status()) == Names{"m0", "m1", "m2"});
    ensemble.remove_member("m2");
    CHECK(names_of(ensemble.status()) == Names{"m0", "m1"});
    return error->message();
  };
  CHECK(refusal({.members = {0, 1}, .replicas = 2}) == "m1 cannot be removed: it shares a worker that has replicas");
  auto spec = plain(3);
  for (auto& member : spec.members) member.model.kind = MlpModel{.layers = {2}};
  spec.workers = {{.members = {0, 2}, .mode = UnitMode::fused}};
  CHECK(contains(message_of([&] { without_member(spec, 2); }),
                 "m2 cannot be removed: its worker computes it fused with others"));
}

TEST_CASE("a description without a member that shared a worker is that of an ensemble that never had it") {
  auto spec = plain(5);
  spec.workers = {{.members = {0, 2}}, {.members = {1}, .replicas = 2}, {.members = {3, 4}, .mode = UnitMode::threads}};
  const auto left = [](const config::EnsembleSpec& now) {
    std::vector<std::vector<std::size_t>> units;
    for (const config::UnitSpec& unit : now.workers) units.push_back(unit.members);
    return units;
  };
  using Units = std::vector<std::vector<std::size_t>>;
  CHECK(left(without_member(spec, 0)) == Units{{1}, {0}, {2, 3}});
  CHECK(left(without_member(spec, 1)) == Units{{0, 1}, {2, 3}});
  CHECK(left(without_member(spec, 4)) == Units{{0, 2}, {1}, {3}});
  CHECK(left(without_member(without_member(spec, 4), 3)) == Units{{0, 2}, {1}});
}

TEST_CASE("members of some sorts cannot come") {
  const NothingLeft census;
  auto measured = plain(1);
  measured.measure_batch_images = true;
  {
    Ensemble ensemble(published(measured), with_worker());
    CHECK(message_of([&] { ensemble.add_member(further("x")); }) ==
          "x cannot be added: the batches of this ensemble were measured at its start");
  }
  auto merged = plain(2);
  merged.merge.emplace().over = {1};
  CHECK(message_of([&] { without_member(merged, 1); }) == "m1 cannot be removed: 'merge' names it");
  Ensemble ensemble(published(plain(1)), with_worker());
  auto prepared = further("x");
  prepared.input.emplace();
  CHECK(message_of([&] { ensemble.add_member(prepared); }) ==
        "x cannot be added: it needs the input prepared in another way");
  auto staged = further("x");
  staged.before.resize(1);
  CHECK(message_of([&] { ensemble.add_member(staged); }) == "x has 'stages', and cannot be added");
  auto saved = further("x");
  saved.model.kind = SavedModel{"predictions.npy"};
  CHECK(message_of([&] { ensemble.add_member(saved); }) == "x has saved predictions, and cannot be added");
  {
    auto prepares = plain(2);
    prepares.members[1].input.emplace();
    Ensemble other(published(prepares), with_worker());
    CHECK(message_of([&] { other.remove_member("m1"); }) ==
          "m1 cannot be removed: it is the last member with an 'input'");
  }
  auto tiled = plain(1);
  tiled.combine.rule = CombineRule::none;
  tiled.input.tiles.emplace().size = {3};
  CHECK(message_of([&] { with_member(tiled, further("x")); }) ==
        "x cannot be added: the ensemble has 'tiles' whose predictions are not combined");
}

TEST_CASE("a member that turns out to predict something else does not come") {
  const NothingLeft census;
  const auto planned = [](const config::EnsembleSpec& spec) {
    return make_plan(spec, look_at_machine(worker_program(), GpuSearch::no), input_form(spec, spec.input), {});
  };
  auto wide = further("x");
  fake_of(wide).classes = 5;
  Pool pool(planned(plain(2)), worker_program(), {});
  const Plan next = planned(with(plain(2), wide));
  const auto error = error_of([&] { pool.add(next.request_of(2), next.host_of(2), {}); });
  REQUIRE(error.has_value());
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() ==
        "x cannot join the ensemble: it outputs 5 values per image, and the members of the ensemble 4");
  const Plan same = planned(with(plain(2), further("y")));
  CHECK(pool.add(same.request_of(2), same.host_of(2), {}).rank == Rank(2));
}

TEST_CASE("the callback of a training is told that members stay and waits for nothing") {
  const NothingLeft census;
  Ensemble ensemble(published(plain(2)), with_worker());
  ListSource source(random_images(16), std::vector<std::int64_t>(16, 1));
  const TemporaryFolder folder;
  Names told;
  ensemble.train(source, folder.path(), [&](const EpochResult&) {
    told = {message_of([&] { ensemble.add_member(further("x")); }), message_of([&] { ensemble.remove_member("m0"); }),
            message_of([&] { ensemble.replace_member("m0", ensemble.spec()); })};
  });
  const std::string stays = "members cannot come or go: the ensemble has trained its members";
  CHECK(told == Names{stays, stays, "a member cannot be replaced in an ensemble that has trained its members"});
}

TEST_CASE("an ensemble that has trained or is closed keeps its members and one whose members changed trains none") {
  const NothingLeft census;
  const auto train = [](Ensemble& ensemble) {
    ListSource source(random_images(16), std::vector<std::int64_t>(16, 1));
    const TemporaryFolder folder;
    ensemble.train(source, folder.path());
  };
  {
    Ensemble ensemble(published(plain(2)), with_worker());
    train(ensemble);
    CHECK(message_of([&] { ensemble.add_member(further("x")); }) ==
          "members cannot come or go: the ensemble has trained its members");
    CHECK(message_of([&] { ensemble.remove_member("m0"); }) ==
          "members cannot come or go: the ensemble has trained its members");
  }
  {
    Ensemble ensemble(published(plain(2)), with_worker());
    ensemble.remove_member("m0");
    CHECK(message_of([&] { train(ensemble); }) == "an ensemble whose members came or went cannot train them");
    ensemble.interrupt();
    CHECK(error_of([&] { ensemble.add_member(further("x")); })->kind() == ErrorKind::interrupted);
    CHECK(error_of([&] { ensemble.remove_member("m1"); })->kind() == ErrorKind::interrupted);
  }
}

}  // namespace
}  // namespace tutti::test
