// Workers of which the mode is chosen at the start, with fake members whose batches take a set time.
#include <doctest/doctest.h>

#include "config/candidates.hpp"
#include "coordinator/api/model_choice.hpp"
#include "coordinator/decide/candidates.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"
#include "tests/support/variable.hpp"

namespace tutti::test {
namespace {

/// Two members that share a worker, whose batches sleep: in threads they sleep at the same time.
config::EnsembleSpec shared_spec() {
  auto spec = fake_spec(2);
  for (config::MemberSpec& member : spec.members) std::get<FakeModel>(member.model.kind).delay_us = 3000;
  spec.workers = {{.members = {0, 1}, .modes = {UnitMode::loop, UnitMode::threads}}};
  return spec;
}

Options uncached() {
  Options options = with_worker();
  options.cache = false;
  return options;
}

config::EnsembleSpec chosen_of(const config::EnsembleSpec& spec) {
  Options options = uncached();
  return choose_models(spec, options, options.worker);
}

TEST_CASE("the fastest mode is kept with the figures of the others and changes no byte") {
  const NothingLeft check;
  const auto spec = shared_spec();
  const auto kept = chosen_of(spec);
  CHECK(kept.workers[0].mode == UnitMode::threads);
  CHECK(kept.workers[0].modes.empty());
  CHECK_FALSE(config::leaves_choice(kept));
  const std::vector<ModelForm>& tried = kept.workers[0].tried.forms;
  REQUIRE(tried.size() == 2);
  CHECK(tried[0].model == "loop");
  CHECK(tried[0].reason == "it is slower");
  CHECK(tried[1].model == "threads");
  CHECK(tried[1].chosen());
  CHECK(tried[1].difference == 0.0);
  CHECK(tried[0].images_per_second > 0);
  CHECK(tried[1].images_per_second > 1.3 * tried[0].images_per_second);
  Ensemble ensemble(published(spec), uncached());
  const auto images = random_images(10);
  CHECK(ensemble.predict(view(images)).values == naive_mean(kept, images));
  const Status status = ensemble.status();
  CHECK(status.members[0].worker == status.members[1].worker);
  for (const MemberStatus& member : status.members) {
    REQUIRE(member.modes.size() == 2);
    CHECK(member.modes[1].chosen());
    CHECK(member.forms.empty());
  }
}

TEST_CASE("a mode is chosen beside a member with stages") {
  const NothingLeft check;
  auto spec = shared_spec();
  spec.members.push_back(spec.members[0]);
  config::MemberSpec& chain = spec.members.back();
  chain.name = "chain";
  chain.before = {{.model = {FakeModel{.classes = 6, .faults = {}}, {}}, .device = config::CpuDevice{}}};
  const auto kept = chosen_of(spec);
  CHECK(kept.workers[0].mode == UnitMode::threads);
  CHECK(kept.workers[0].tried.forms.size() == 2);
  CHECK(kept.members[2].before.size() == 1);
}

TEST_CASE("a mode is judged by its worker even if other members are slower") {
  auto spec = shared_spec();
  auto slow = fake_spec(3).members[2];
  std::get<FakeModel>(slow.model.kind).delay_us = 20'000;
  spec.members.push_back(slow);
  CHECK(chosen_of(spec).workers[0].mode == UnitMode::threads);
}

TEST_CASE("the form of the members is chosen before the mode of their worker") {
  auto spec = shared_spec();
  for (config::MemberSpec& member : spec.members) {
    FakeModel fast = std::get<FakeModel>(member.model.kind);
    fast.delay_us = 500;
    member.model.candidates = {member.model.kind, fast};
  }
  const auto kept = chosen_of(spec);
  for (const config::MemberSpec& member : kept.members) {
    CHECK(std::get<FakeModel>(member.model.kind).delay_us == 500);
    CHECK(member.model.tried.forms.size() == 2);
  }
  CHECK(kept.workers[0].tried.forms.size() == 2);
  CHECK(kept.workers[0].mode == UnitMode::threads);
}

TEST_CASE("a mode that cannot be started is passed over and named") {
  auto spec = shared_spec();
  spec.workers[0].modes = {UnitMode::fused, UnitMode::loop};
  const auto kept = chosen_of(spec);
  CHECK(kept.workers[0].mode == UnitMode::loop);
  CHECK(contains(kept.workers[0].tried.forms[0].reason, "cannot be fused"));
  CHECK(kept.workers[0].tried.forms[0].images_per_second == 0);
  auto mixed = spec;  // next to a member that has nothing to do with it
  mixed.members.push_back(fake_spec(3).members[2]);
  CHECK(chosen_of(mixed).workers[0].mode == UnitMode::loop);
  spec.workers[0].modes = {UnitMode::fused};
  const auto error = error_of([&] { chosen_of(spec); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "m0, m1: no mode of their worker can be started");
  CHECK(contains(error->detail(), "fused: "));
}

TEST_CASE("batches are measured with the modes") {
  auto spec = shared_spec();
  spec.segment_images = 16;
  spec.measure_batch_images = true;
  Options options = uncached();
  const auto kept = choose_models(spec, options, options.worker);
  CHECK(kept.workers[0].mode == UnitMode::threads);
  CHECK(options.batch_images == std::vector<std::uint32_t>{16, 16});
}

TEST_CASE("the mode that was chosen comes from the cache") {
  const TemporaryFolder folder;
  const Variable cache("XDG_CACHE_HOME", folder.path().string());
  const Lines lines;
  log::set_level(log::Level::info);
  const auto spec = shared_spec();
  Options options = with_worker();
  const auto first = choose_models(spec, options, options.worker);
  const auto second = choose_models(spec, options, options.worker);
  log::set_level(log::Level::warning);
  CHECK(lines.with("trying the modes of the worker of m0, m1").size() == 1);
  CHECK(lines.with("m0, m1: threads (measured: loop: ").size() == 2);
  CHECK(lines.with("from the cache").size() == 1);
  CHECK(second == first);
  CHECK(choice_text(second.workers[0].tried.forms) == choice_text(first.workers[0].tried.forms));
}

TEST_CASE("in training a worker has its first mode") {
  Options options = uncached();
  options.training = true;
  const auto kept = choose_models(shared_spec(), options, options.worker);
  CHECK(kept.workers[0].mode == UnitMode::loop);
  CHECK(kept.workers[0].modes.empty());
}

TEST_CASE("a new version of a member runs in the mode of its worker") {
  auto running = shared_spec();
  const auto next = running;
  config::take_mode(running.workers[0], 1, "it is slower");
  CHECK(running.workers[0].mode == UnitMode::threads);
  CHECK(running.workers[0].tried.forms[0].reason == "it is slower");
  CHECK(chosen_like(next, running).workers[0].mode == UnitMode::threads);
  running.workers.clear();
  CHECK(chosen_like(next, running).workers[0].mode == UnitMode::loop);
}

}  // namespace
}  // namespace tutti::test
