// Members of which one of several forms is chosen at the start, with fake members whose batches take a set time.
#include <doctest/doctest.h>

#include <chrono>
#include <stop_token>
#include <thread>

#include "config/candidates.hpp"
#include "coordinator/api/model_choice.hpp"
#include "coordinator/api/model_trial.hpp"
#include "coordinator/decide/candidates.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/integration/pools.hpp"
#include "tests/support/variable.hpp"

namespace tutti::test {
namespace {

/// Options that neither look into the user's cache nor write it.
Options without_cache() {
  Options options = with_worker();
  options.cache = false;
  return options;
}

/// A form that needs so many microseconds for each batch.
FakeModel form(const config::EnsembleSpec& spec, std::uint64_t delay_us) {
  FakeModel model = std::get<FakeModel>(spec.members.front().model.kind);
  model.delay_us = delay_us;
  model.faults.clear();
  return model;
}

FakeModel broken(const config::EnsembleSpec& spec) {
  FakeModel model = form(spec, 0);
  model.faults = {{FaultKind::exception, FaultPhase::load}};
  return model;
}

/// Gives a member these forms.
void leave_open(config::EnsembleSpec& spec, std::size_t rank, std::vector<ModelKind> forms) {
  spec.members[rank].model.kind = forms.front();
  spec.members[rank].model.candidates = std::move(forms);
}

std::uint64_t delay_of(const config::EnsembleSpec& spec, std::size_t rank) {
  return std::get<FakeModel>(spec.members[rank].model.kind).delay_us;
}

config::EnsembleSpec chosen(const config::EnsembleSpec& spec) {
  Options options = without_cache();
  return choose_models(spec, options, options.worker);
}

TEST_CASE("the fastest form is kept and the ensemble predicts with it") {
  const NothingLeft check;
  auto spec = fake_spec(2);
  for (const std::size_t rank : {0, 1}) leave_open(spec, rank, {form(spec, 8000), form(spec, 500), form(spec, 3000)});
  const auto kept = chosen(spec);
  for (const std::size_t rank : {0, 1}) {
    CHECK(delay_of(kept, rank) == 500);
    CHECK(kept.members[rank].model.candidates.empty());
  }
  Ensemble ensemble(published(spec), without_cache());
  const auto images = random_images(20);
  CHECK(ensemble.predict(view(images)).values == naive_mean(kept, images));
  const Status status = ensemble.status();
  for (const MemberStatus& member : status.members) {
    REQUIRE(member.forms.size() == 3);
    CHECK(member.forms[0].reason == "it is slower");
    CHECK(member.forms[1].chosen());
    CHECK(member.forms[2].reason == "it is slower");
    CHECK(member.forms[1].images_per_second > member.forms[0].images_per_second);
    CHECK(member.forms[1].difference == 0.0);
    CHECK(member.images == 20);
  }
}

TEST_CASE("a form is chosen beside a member with stages") {
  const NothingLeft check;
  auto spec = fake_spec(2);
  spec.members[0].before = {{.model = {FakeModel{.classes = 6, .faults = {}}, {}}, .device = config::CpuDevice{}}};
  leave_open(spec, 1, {form(spec, 8000), form(spec, 500)});
  const auto kept = chosen(spec);
  CHECK(delay_of(kept, 1) == 500);
  CHECK(kept.members[0].model.tried.forms.empty());
  Ensemble ensemble(published(spec), without_cache()), as_kept(published(kept), without_cache());
  const auto images = random_images(20);
  CHECK(ensemble.predict(view(images)).values == as_kept.predict(view(images)).values);
  CHECK(ensemble.status().members[0].stages.size() == 2);
}

TEST_CASE("a form whose outputs are others is refused however fast it is") {
  auto spec = fake_spec(1);
  FakeModel other = form(spec, 0);
  other.reads_input = false;
  leave_open(spec, 0, {form(spec, 4000), other});
  const auto kept = chosen(spec);
  CHECK(delay_of(kept, 0) == 4000);
  CHECK(contains(kept.members[0].model.tried.forms[1].reason, "its outputs differ from those of fake by"));
}

TEST_CASE("a form of another width is refused") {
  auto spec = fake_spec(1);
  FakeModel wide = form(spec, 0);
  wide.classes += 1;
  leave_open(spec, 0, {form(spec, 4000), wide});
  const auto kept = chosen(spec);
  CHECK(delay_of(kept, 0) == 4000);
  CHECK(kept.members[0].model.tried.forms[1].reason == "it outputs 5 per image, and the first form 4");
}

TEST_CASE("a form that cannot be started is left out with its reason") {
  auto spec = fake_spec(2);
  for (const std::size_t rank : {0, 1}) leave_open(spec, rank, {broken(spec), form(spec, 500), broken(spec)});
  const auto kept = chosen(spec);
  CHECK(delay_of(kept, 1) == 500);
  const std::vector<ModelForm>& forms = kept.members[0].model.tried.forms;
  CHECK(forms[1].chosen());
  for (const std::size_t number : {0, 2}) {
    CHECK(contains(forms[number].reason, "scripted"));
    CHECK(forms[number].backend.empty());
  }
}

TEST_CASE("one member whose form cannot be started does not hide the others") {
  auto spec = fake_spec(3);
  leave_open(spec, 0, {form(spec, 4000), broken(spec), form(spec, 100)});
  leave_open(spec, 1, {form(spec, 4000), form(spec, 100)});
  const auto kept = chosen(spec);
  CHECK(delay_of(kept, 0) == 100);
  CHECK(delay_of(kept, 1) == 100);
  CHECK(delay_of(kept, 2) == delay_of(spec, 2));
  CHECK(kept.members[0].model.tried.forms.size() == 3);
  CHECK(contains(kept.members[0].model.tried.forms[1].reason, "scripted"));
  CHECK(kept.members[2].model.tried.forms.empty());
}

TEST_CASE("a form that loads and fails while predicting is left out with its reason") {
  const NothingLeft check;
  auto spec = fake_spec(3);
  FakeModel fails = form(spec, 0);
  fails.faults = {{FaultKind::exit, FaultPhase::predict}};
  leave_open(spec, 0, {form(spec, 500), fails});
  leave_open(spec, 1, {form(spec, 4000), form(spec, 100)});
  const auto kept = chosen(spec);
  CHECK(delay_of(kept, 0) == 500);
  CHECK(delay_of(kept, 1) == 100);
  const std::string& reason = kept.members[0].model.tried.forms[1].reason;
  CHECK(contains(reason, "m0"));
  CHECK(contains(reason, "code 7"));
  CHECK_FALSE(contains(reason, "on_worker_failure"));
}

/// Two members, of which the second has no choice and dies at this batch of every trial. Each round is a batch.
config::EnsembleSpec with_one_that_dies(std::uint64_t at_batch = 2) {
  auto spec = fake_spec(2);
  spec.segment_images = spec.batch_images = 4;
  leave_open(spec, 0, {form(spec, 50000), form(spec, 20000)});
  fake_model(spec, 1).faults = {{FaultKind::exit, FaultPhase::predict, at_batch}};
  return spec;
}

TEST_CASE("a member without a choice that dies in a trial is replaced as the user wants") {
  const NothingLeft check;
  const Lines lines;
  log::set_level(log::Level::info);
  const auto kept = chosen(with_one_that_dies());
  log::set_level(log::Level::warning);
  CHECK(delay_of(kept, 0) == 20000);
  CHECK(lines.with("a member died in a trial of forms; the trial is made again: ").size() == 2);
}

TEST_CASE("if a member dies while forms compute alternately what each took alone counts") {
  const NothingLeft check;
  const auto kept = chosen(with_one_that_dies(5));  // fewer batches are computed alone
  CHECK(delay_of(kept, 0) == 20000);
}

TEST_CASE("workers of a trial that is kept compute again while those of another wait") {
  const NothingLeft check;
  auto spec = fake_spec(2);
  spec.segment_images = spec.batch_images = 4;
  ModelTrials trials(spec, without_cache(), with_worker().worker);
  const auto run = [&](std::uint64_t delay_us) {
    const FakeModel model = form(spec, delay_us);
    trials.run({{model, model}, {}});
    return trials.keep();
  };
  REQUIRE(run(1000) == 0U);
  REQUIRE(run(8000) == 1U);
  for (int turn = 0; turn < 2; ++turn) {
    const ModelTrials::Speeds fast = trials.again(0);
    const ModelTrials::Speeds slow = trials.again(1);
    for (const std::size_t rank : {0, 1}) {
      CHECK(slow[rank].member <= 4 / 0.008);
      CHECK(fast[rank].member <= 4 / 0.001);
      CHECK(fast[rank].member > slow[rank].member);
    }
  }
}

TEST_CASE("a member without a choice that dies in a trial is the error if the user wants no restarts") {
  const NothingLeft check;
  auto spec = with_one_that_dies();
  spec.failure.on_worker_failure = OnWorkerFailure::fail;
  const auto error = error_of([&] { chosen(spec); });
  REQUIRE(error);
  CHECK(contains(error->message(), "m1"));
  CHECK(error->hint() == "'on_worker_failure: restart' replaces workers that die");
}

TEST_CASE("a start that is given up gives up the trials at once") {
  const NothingLeft check;
  auto spec = fake_spec(1);
  leave_open(spec, 0, {form(spec, 60000000), form(spec, 60000000)});
  std::stop_source stop;
  Options options = without_cache();
  options.stop = stop.get_token();
  const std::jthread asks([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    stop.request_stop();
  });
  const auto error = error_of([&] { choose_models(spec, options, options.worker); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::interrupted);
  CHECK(error->message() == "the ensemble was given up while it started");
}

TEST_CASE("members that share a worker get the same form") {
  auto spec = fake_spec(3);
  for (const std::size_t rank : {0, 1, 2}) leave_open(spec, rank, {form(spec, 4000), form(spec, 500)});
  spec.members[1].copy_input = !spec.members[1].copy_input;
  spec.workers = {{{0, 1}, UnitMode::loop}};
  const Lines lines;
  log::set_level(log::Level::info);
  const auto kept = chosen(spec);
  log::set_level(log::Level::warning);
  CHECK(lines.with("m0, m1, m2: fake").size() == 1);
  CHECK(kept.members[0].model.kind == kept.members[1].model.kind);
}

TEST_CASE("a member in a debugger is not waited for in trials") {
  const Lines lines;
  log::set_level(log::Level::info);
  auto spec = fake_spec(1);
  leave_open(spec, 0, {form(spec, 4000), form(spec, 500)});
  Options options = without_cache();
  options.debug_member = "m0";
  CHECK(delay_of(choose_models(spec, options, options.worker), 0) == 4000);
  log::set_level(log::Level::warning);
  CHECK(lines.with("trying").empty());
}

TEST_CASE("forms are measured if there is one size of batches to try") {
  auto spec = fake_spec(1);
  spec.segment_images = 4;
  spec.measure_batch_images = true;
  leave_open(spec, 0, {form(spec, 6000), form(spec, 1000)});
  const auto kept = chosen(spec);
  CHECK(delay_of(kept, 0) == 1000);
  CHECK(kept.members[0].model.tried.forms[0].images_per_second > 0);
  CHECK(kept.members[0].model.tried.forms[0].reason == "it is slower");
}

TEST_CASE("if no form can be started every reason is said") {
  const NothingLeft check;
  auto spec = fake_spec(2);
  leave_open(spec, 1, {broken(spec), broken(spec)});
  const auto error = error_of([&] { chosen(spec); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "m1: no form of the model can be started");
  const std::string& detail = error->detail();
  CHECK(contains(detail, "fake: "));
  CHECK(detail.find("scripted") != detail.rfind("scripted"));
  CHECK(error->hint() == "correct one of them, or name a form that works here");
}

TEST_CASE("a member without a choice that cannot be started is the error") {
  auto spec = fake_spec(2);
  leave_open(spec, 0, {form(spec, 100), form(spec, 200)});
  fake_model(spec, 1).faults = {{FaultKind::exception, FaultPhase::load}};
  const auto error = error_of([&] { chosen(spec); });
  REQUIRE(error);
  CHECK(contains(error->message(), "m1"));
}

TEST_CASE("batches are measured with the forms and are not measured again") {
  auto spec = fake_spec(2);
  spec.segment_images = 16;
  spec.measure_batch_images = true;
  for (const std::size_t rank : {0, 1}) leave_open(spec, rank, {form(spec, 6000), form(spec, 1000)});
  Options options = without_cache();
  const auto kept = choose_models(spec, options, options.worker);
  CHECK(delay_of(kept, 0) == 1000);
  CHECK(options.batch_images == std::vector<std::uint32_t>{16, 16});
  CHECK(kept.members[0].model.tried.forms[1].batch_images == 16);
  Ensemble ensemble(published(spec), without_cache());
  CHECK(ensemble.status().batch_search_seconds == 0);
  CHECK(ensemble.status().members[0].batch_images == 16);
  CHECK(ensemble.status().members[0].batch_images_measured);
}

TEST_CASE("a description without a choice starts no trial") {
  const Lines lines;
  log::set_level(log::Level::info);
  const auto spec = fake_spec(1);
  Options options = without_cache();
  CHECK(choose_models(spec, options, options.worker) == spec);
  log::set_level(log::Level::warning);
  CHECK(lines.with("trying").empty());
}

TEST_CASE("in training every member has its first form") {
  auto spec = fake_spec(1);
  leave_open(spec, 0, {form(spec, 100), broken(spec)});
  Options options = without_cache();
  options.training = true;
  const auto kept = choose_models(spec, options, options.worker);
  CHECK(delay_of(kept, 0) == 100);
  CHECK(kept.members[0].model.tried.forms.empty());
}

TEST_CASE("what was chosen comes from the cache until something changes") {
  const TemporaryFolder folder;
  const Variable cache("XDG_CACHE_HOME", folder.path().string());
  const Lines lines;
  log::set_level(log::Level::info);
  auto spec = fake_spec(1);
  leave_open(spec, 0, {form(spec, 4000), form(spec, 500)});
  Options options = with_worker();
  const auto first = choose_models(spec, options, options.worker);
  CHECK(lines.with("trying").size() == 1);
  const auto second = choose_models(spec, options, options.worker);
  CHECK(lines.with("trying").size() == 1);
  CHECK(lines.with("from the cache").size() == 1);
  CHECK(second == first);
  CHECK(choice_text(second.members[0].model.tried.forms) == choice_text(first.members[0].model.tried.forms));
  spec.batch_images = 2;
  choose_models(spec, options, options.worker);
  CHECK(lines.with("trying").size() == 2);
  options.cache = false;
  choose_models(spec, options, options.worker);
  CHECK(lines.with("trying").size() == 3);
  log::set_level(log::Level::warning);
}

TEST_CASE("a choice is not kept if a form could not be started, which may pass") {
  const TemporaryFolder folder;
  const Variable cache("XDG_CACHE_HOME", folder.path().string());
  const Lines lines;
  log::set_level(log::Level::info);
  auto spec = fake_spec(1);
  leave_open(spec, 0, {form(spec, 500), broken(spec)});
  Options options = with_worker();
  choose_models(spec, options, options.worker);
  choose_models(spec, options, options.worker);
  log::set_level(log::Level::warning);
  CHECK(lines.with("trying").size() == 2);
  CHECK(lines.with("from the cache").empty());
}

TEST_CASE("a new version has the variant of the form that runs and not just its library") {
  auto running = fake_spec(1);
  auto next = running;
  leave_open(running, 0, {TorchScriptModel{"a.pt"}, AotiModel{{"a.pt2"}}, OnnxFileModel{"a.onnx"}});
  leave_open(next, 0, {TorchScriptModel{"b.pt"}, AotiModel{{"b.pt2"}}, OnnxFileModel{"b.onnx"}});
  config::take_candidate(running.members[0].model, 1, "it is slower");
  const auto kind_after = [&](const config::EnsembleSpec& later) {
    return std::string(kind_name(chosen_like(later, running).members[0].model.kind));
  };
  CHECK(kind_after(next) == "aoti");
  next.members[0].model.candidates.erase(next.members[0].model.candidates.begin());
  CHECK(kind_after(next) == "aoti");
  next.members[0].model.candidates.erase(next.members[0].model.candidates.begin());
  CHECK(kind_after(next) == "onnx");
  // Two of a kind: the place counts.
  leave_open(running, 0, {OnnxFileModel{"a.onnx"}, OnnxFileModel{"a8.onnx"}});
  leave_open(next, 0, {OnnxFileModel{"b.onnx"}, OnnxFileModel{"b8.onnx"}});
  config::take_candidate(running.members[0].model, 1, "it is slower");
  CHECK(chosen_like(next, running).members[0].model.kind == ModelKind(OnnxFileModel{"b8.onnx"}));
}

TEST_CASE("a new version of a member has the form that runs") {
  auto spec = fake_spec(2);
  for (const std::size_t rank : {0, 1}) leave_open(spec, rank, {form(spec, 4000), form(spec, 500)});
  Ensemble ensemble(published(spec), without_cache());
  auto next = spec;
  next.members[1].seed += 5;
  for (config::MemberSpec& member : next.members) REQUIRE_FALSE(member.model.candidates.empty());
  ensemble.replace_member("m1", published(next));
  const auto images = random_images(10);
  auto expected = chosen(spec);
  expected.members[1].seed += 5;
  CHECK(ensemble.predict(view(images)).values == naive_mean(expected, images));
}

}  // namespace
}  // namespace tutti::test
