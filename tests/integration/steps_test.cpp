// Steps without a model over real workers: the answers are those of a plain loop over models and steps, whichever
// worker dies.
#include <doctest/doctest.h>

#include <set>

#include "common/not_finite.hpp"
#include "tests/integration/cascaded.hpp"
#include "tests/integration/pools.hpp"
#include "worker/steps.hpp"

namespace tutti::test {
namespace {

constexpr std::uint32_t kClasses = 12;

/// Two members. The first has 12 outputs, of whose probabilities the 5 largest go to its last stage, whose logits are
/// divided by 2.
config::EnsembleSpec spec_with_steps() {
  auto spec = fake_spec(2);
  config::StageSpec first{.model = {FakeModel{.classes = kClasses, .faults = {}}, {}}, .device = config::CpuDevice{}};
  first.steps = {{SoftmaxStep{}}, {TopKStep{.k = 5}}};
  spec.members[0].before = {first};
  spec.members[0].steps = {{NormalizeStep{.std = {2}}}};
  spec.slots = 4;
  spec.failure.back_off = 0.001;
  spec.failure.restart_limit.reset();
  return spec;
}

FakeModel& fake_of_first_stage(config::EnsembleSpec& spec) {
  return std::get<FakeModel>(spec.members[0].before[0].model.kind);
}

/// The steps over predictions of a plain loop.
std::vector<float> naive_steps(const std::vector<StepSpec>& steps, Dims dims, std::vector<float> values) {
  for (const StepSpec& step : steps) {
    worker::StepWork work(step.step, dims);
    if (work.is_in_place()) {
      work.replace(values);
    } else {
      std::vector<float> made(values.size() / elements_of(dims) * elements_of(work.output()));
      work.make(values, made);
      values = std::move(made);
    }
    dims = work.output();
  }
  return values;
}

/// The mean of the members; stages and steps of the first one after the other.
std::vector<float> naive_chain(const config::EnsembleSpec& spec, const std::vector<float>& images) {
  auto logits = spec;
  logits.combine.over = OutputKind::logits;
  auto first = logits;
  first.members[0].model = spec.members[0].before[0].model;
  auto last = logits;
  last.input.shape = {5, 1, 1};
  const auto between = naive_steps(spec.members[0].before[0].steps, {kClasses}, naive_answer(first, 0, images));
  auto steps = spec.members[0].steps;
  steps.push_back({SoftmaxStep{}});  // that of `over: probabilities`
  const auto of_chain = naive_steps(steps, {4}, naive_answer(last, 0, between));
  const auto of_other = naive_answer(spec, 1, images);
  std::vector<float> mean;
  for (std::size_t i = 0; i < of_chain.size(); ++i) mean.push_back((of_chain[i] + of_other[i]) / 2);
  return mean;
}

TEST_CASE("steps are computed by the worker of the stage before them and change no number of rows") {
  const NothingLeft census;
  const auto spec = spec_with_steps();
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(243);
  for (int call = 0; call < 3; ++call) CHECK(ensemble.predict(view(images)).values == naive_chain(spec, images));
  const Status status = ensemble.status();
  const MemberStatus& member = status.members[0];
  REQUIRE(member.stages.size() == 2);
  CHECK(member.stages[0].output == Dims{5});
  CHECK(member.stages[0].steps == std::vector<std::string>{"softmax", "top_k (k 5, give values)"});
  CHECK(member.steps == std::vector<std::string>{"normalize (std 2)"});
  CHECK(status.members[1].steps.empty());
  std::set<int> processes;
  for (const MemberStatus& stage : {member.stages[0], member.stages[1], status.members[1]})
    CHECK(processes.insert(stage.pid).second);
}

TEST_CASE("workers that die again and again while they compute steps change no bit") {
  for (const bool first : {true, false}) {
    CAPTURE(first);
    const NothingLeft census;
    auto spec = spec_with_steps();
    spec.members[0].before[0].workers.replicas = 2;
    spec.slots = 8;
    (first ? fake_of_first_stage(spec) : fake_model(spec, 0)).faults = {{FaultKind::kill, FaultPhase::predict, 7}};
    Ensemble ensemble(published(spec), with_worker());
    const auto images = random_images(320);
    for (int call = 0; call < 2; ++call) CHECK(ensemble.predict(view(images)).values == naive_chain(spec, images));
    CHECK(ensemble.status().members[0].stages[first ? 0 : 1].deaths >= 2);
    CHECK(ensemble.status().faults.set_aside == 0);
  }
}

TEST_CASE("a model with steps and no further stage is a member like others") {
  const NothingLeft census;
  auto spec = fake_spec(1);
  spec.members[0].steps = {{ThresholdStep{.above = 2}}};
  spec.members[0].output = OutputKind::values;
  spec.members[0].last.replicas = 2;
  spec.combine = {.rule = CombineRule::mean, .over = OutputKind::values};
  Ensemble ensemble(published(spec), with_worker());
  const auto images = random_images(61);
  auto logits = spec;
  logits.combine.over = OutputKind::logits;
  const auto values = ensemble.predict(view(images)).values;
  CHECK(values == naive_steps(spec.members[0].steps, {4}, naive_answer(logits, 0, images)));
  CHECK(std::ranges::count(values, 1.0F) > 0);
  CHECK(std::ranges::count(values, 0.0F) > 0);
  const Status status = ensemble.status();
  CHECK(status.members[0].name == "m0");
  CHECK(status.members[0].stages.empty());
  CHECK(status.members[0].replicas.size() == 2);
}

TEST_CASE("NaN that a model outputs is found behind the steps") {
  const std::vector<Step> steps{TopKStep{.k = 2}, TopKStep{.k = 2, .give = TopKGives::indices},
                                ThresholdStep{},  L2NormalizeStep{},
                                SoftmaxStep{},    NormalizeStep{.mean = {1}}};
  for (const Step& step : steps) {
    CAPTURE(to_text(step));
    const NothingLeft census;
    auto spec = fake_spec(1);
    spec.members[0].steps = {{step}};
    spec.members[0].output = meaning_behind(std::span(&step, 1), std::nullopt).value_or(OutputKind::values);
    spec.combine = {.rule = CombineRule::mean, .over = spec.members[0].output};
    fake_model(spec, 0).faults = {{FaultKind::nan, FaultPhase::predict, 4}};
    Ensemble ensemble(published(spec), with_worker());
    const auto images = random_images(80);
    CHECK(contains(message_of([&] { ensemble.predict(view(images)); }), "m0 on cpu predicted NaN or infinity"));
    CHECK_FALSE(first_not_finite(ensemble.predict(view(images)).values));
  }
}

TEST_CASE("steps may be computed in a later round of a cascade") {
  const NothingLeft census;
  auto spec = spec_with_steps();
  std::swap(spec.members[0], spec.members[1]);
  check_cascade(spec);
}

}  // namespace
}  // namespace tutti::test
