// The program's command merge over torchscript members: averages of any network, and BatchNorm statistics estimated by
// a worker of the pool, held against a loop over the same batches in this process.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <tutti/ensemble.hpp>

#include "config/load.hpp"
#include "coordinator/plan/input.hpp"
#include "images/sources.hpp"
#include "merge/checkpoint.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"
#include "tests/torch/script_files.hpp"
#include "worker/torch/models.hpp"

namespace tutti::test {
namespace {

constexpr std::uint32_t kImages = 53;  // divides neither by the segment nor by the batch
constexpr std::uint32_t kBatch = 6;

/// Without labels.
const std::string kInput = fmt::format("{{dataset: random, count: {}, shape: [3, 32, 32], seed: 3}}", kImages);

const std::string kScripts = fmt::format(R"(
members:
  - {{name: a, model: {{kind: torchscript, path: n.pt, weights: a.st}}}}
  - {{name: b, model: {{kind: torchscript, path: n.pt, weights: b.st}}}}
assignment: cpu
threads: 1
input: {{dataset: random, count: 40, shape: [3, 32, 32], classes: 10, seed: 4}}
segment_images: 20
batch_images: {}
)",
                                         kBatch);

/// The file with every floating value multiplied.
void write_multiplied(const merge::Safetensors& from, float factor, const std::filesystem::path& to) {
  std::vector<std::vector<float>> held;
  std::vector<merge::TensorView> views;
  held.reserve(from.names().size());
  for (const std::string& name : from.names()) {
    merge::TensorView view = from.tensor(name);
    if (view.dtype == merge::Dtype::f32) {
      std::vector<float>& values = held.emplace_back(view.bytes.size() / sizeof(float));
      std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
      for (float& value : values) value *= factor;
      view.bytes = std::as_bytes(std::span(values));
    }
    views.push_back(std::move(view));
  }
  merge::write_safetensors(to, views);
}

struct ScriptPlace : Workplace {
  explicit ScriptPlace(const std::string& rest, BatchNormForm form = BatchNormForm::traced)
      : Workplace(kScripts + rest) {
    save_batch_norm_script(*this / "n.pt", form);
    save_state(*this / "n.pt", *this / "a.st");
    write_multiplied(merge::Safetensors::read(*this / "a.st"), 3, *this / "b.st");
  }
  json::value merge_report(const std::string& folder = "runs/0001") const {
    return parse_json(read(folder + "/merge.json"), "the report");
  }
};

/// What a member of the class estimates from all images in batches of `kBatch`, one after the other.
std::string learnt_in_a_loop(const Workplace& place, const std::filesystem::path& weights) {
  const auto source = images::make_random(kImages, {3, 32, 32}, 0, 3);
  std::vector<float> pixels(kImages * source->shape().elements());
  std::vector<std::uint64_t> indices(kImages);
  for (std::uint32_t i = 0; i < kImages; ++i) indices[i] = i;
  source->read(indices, pixels, {});
  MemberRequest request;
  request.name = "merged";
  request.model = TorchScriptModel{(place / "n.pt").string()};
  request.weights = weights.string();
  request.takes = {TakenTensor::unchanged(source->shape().layout())};
  request.over = OutputKind::logits;
  request.learns = Learns::statistics;
  const auto model = worker::make_torch_model(request);
  model->trainable()->begin_training();
  for (std::uint32_t first = 0; first < kImages; first += kBatch) {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t i = first; i < std::min(first + kBatch, kImages); ++i) rows.push_back(i);
    model->trainable()->train(pixels.data(), {}, rows);
  }
  model->trainable()->save(place / "loop.st");
  return place.read("loop.st");
}

std::string bytes_of(const merge::Safetensors& file, const std::string& name) {
  const auto bytes = file.tensor(name).bytes;
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::size_t files_in(const std::filesystem::path& folder) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files += entry.exists() ? 1 : 0;
  return files;
}

TEST_CASE("torchscript members are averaged with a warning about their statistics") {
  const ScriptPlace place("merge: {}\n");
  const Finished merged(place, {"merge", "e.yaml"});
  CAPTURE(merged.err());
  REQUIRE(merged.code == 0);
  CHECK(contains(merged.err(), "the merged model has averaged BatchNorm statistics (4 tensors)"));
  CHECK(contains(merged.err(), "'batch_norm: estimate'"));
  write_multiplied(merge::Safetensors::read(place / "a.st"), 2, place / "expected.st");
  const auto found = merge::Safetensors::read(place / "runs/0001/merged.safetensors");
  const auto expected = merge::Safetensors::read(place / "expected.st");
  for (const std::string& name : expected.names()) CHECK(bytes_of(found, name) == bytes_of(expected, name));
}

TEST_CASE("estimated statistics are those of a loop over the same batches and the rest is the average") {
  for (const BatchNormForm form : {BatchNormForm::traced, BatchNormForm::scripted}) {
    const ScriptPlace place("", form);
    REQUIRE(Finished(place, {"merge", "e.yaml", "merge={}", "output=plain", "--quiet"}).code == 0);
    const Finished merged(place, {"merge", "e.yaml", "merge={batch_norm: estimate, input: " + kInput + "}"});
    CAPTURE(merged.err());
    REQUIRE(merged.code == 0);
    CHECK_FALSE(contains(merged.err(), "averaged BatchNorm statistics"));
    CHECK(contains(merged.out(), "statistics: estimated over 53 images in 9 batches"));
    learnt_in_a_loop(place, place / "plain/merged.safetensors");
    const auto statistics = merge::Safetensors::read(place / "loop.st");
    const auto plain = merge::Safetensors::read(place / "plain/merged.safetensors");
    const auto found = merge::Safetensors::read(place / "runs/0001/merged.safetensors");
    CHECK(found.names() == plain.names());
    CHECK(found.metadata() == plain.metadata());
    CHECK(statistics.names().size() == 6);
    for (const std::string& name : found.names()) {
      CAPTURE(name);
      CHECK(bytes_of(found, name) == bytes_of(statistics.contains(name) ? statistics : plain, name));
    }
    CHECK(bytes_of(found, "bn1.running_var") != bytes_of(plain, "bn1.running_var"));
    const json::value report = place.merge_report();
    CHECK(report.at("statistics").at("images") == 53);
    CHECK(report.at("statistics").at("batches") == 9);
    CHECK(report.at("statistics").at("batch_images") == 6);
    CHECK(report.at("statistics").at("tensors").as_array().size() == 6);
    CHECK(report.at("seconds").at("statistics").as_double() > 0);
    CHECK(report.at("parameters").at("batch_norm") == "estimate");
    CHECK(report.at("notes").as_array().empty());
    CHECK(files_in(place / "runs/0001") == 2);
  }
}

TEST_CASE("candidates of a greedy soup have separate statistics") {
  const std::string images = "{dataset: random, count: 53, shape: [3, 32, 32], classes: 10, seed: 3}";
  const ScriptPlace place("");
  // Two of one kind: the average of a member with itself is the member, but for its statistics.
  const Finished cooked(place, {"merge", "e.yaml", "members.1.model.weights=a.st",
                                "merge={method: greedy_soup, batch_norm: estimate, input: " + images + "}"});
  CAPTURE(cooked.err());
  REQUIRE(cooked.code == 0);
  const json::value report = place.merge_report();
  const double alone = report.at("soup").at("order").at(0).at("accuracy").as_double();
  const double candidate = report.at("soup").at("steps").at(1).at("accuracy").as_double();
  CHECK(candidate != alone);
  CHECK(report.at("statistics").at("images") == 53);
  const Finished kept(place, {"merge", "e.yaml", "members.1.model.weights=a.st", "output=kept",
                              "merge={method: greedy_soup, input: " + images + "}"});
  REQUIRE(kept.code == 0);
  CHECK(place.merge_report("kept").at("soup").at("steps").at(1).at("accuracy").as_double() == alone);
}

TEST_CASE("a merged torchscript model is evaluated along with the members") {
  const ScriptPlace place(
      "tasks: [{name: noise, input: {dataset: random, count: 40, shape: [3, 32, 32], classes: 10}}]\n"
      "merge: {batch_norm: estimate, input: " +
      kInput + "}\n");
  const Finished merged(place, {"merge", "e.yaml"});
  CAPTURE(merged.err());
  REQUIRE(merged.code == 0);
  const json::value report = place.report();
  const json::array& models = report.at("evaluation").at("models").as_array();
  REQUIRE(models.size() == 4);  // and the ensemble
  CHECK(models.at(2).at("name") == "merged");
  CHECK(models.at(2).at("tasks").at("noise").at("images") == 40);
  const Finished again(place, {"evaluate", "e.yaml", "--merged", "soup=runs/0001/merged.safetensors", "output=again"});
  CAPTURE(again.err());
  CHECK(again.code == 0);
}

TEST_CASE("statistics that cannot be estimated are rejected before a folder is made") {
  const ScriptPlace place("");
  const Finished none(place, {"merge", "e.yaml",
                              "merge={batch_norm: estimate, input: {dataset: random, count: 0, shape: [3, 32, 32]}}"});
  CHECK(none.code == 2);
  CHECK(contains(none.err(), "has no images to estimate BatchNorm statistics over"));
  CHECK(contains(none.err(), "name others in the 'input' of 'merge'"));
  CHECK_FALSE(contains(none.err(), "nothing to predict"));  // not a warning as well
  const float value = 1;
  const merge::TensorView view{"w", merge::Dtype::f32, {}, std::as_bytes(std::span(&value, 1))};
  for (const char* name : {"a.st", "b.st"}) merge::write_safetensors(place / name, std::span(&view, 1));
  const Finished without(place, {"merge", "e.yaml", "merge={batch_norm: estimate, input: " + kInput + "}"});
  CHECK(without.code == 2);
  CHECK(
      without.err() ==
      "tutti: the members have no BatchNorm statistics that could be estimated\n  detail: no tensor of a.st is called "
      "running_mean\n  hint: leave 'batch_norm' out of 'merge'\n");
  CHECK_FALSE(place.has("runs"));
}

TEST_CASE("if the statistics fail the old result stays and nothing else is left") {
  const ScriptPlace place("merge: {batch_norm: estimate, input: " + kInput + "}\noutput: out\n");
  // 53 images in batches of 4: the last batch is one image, which has no variance behind the dense layer.
  REQUIRE(Finished(place, {"merge", "e.yaml"}).code == 0);
  const std::string old = place.read("out/merged.safetensors");
  const std::size_t files = files_in(place / "out");
  const Finished failed(place, {"merge", "e.yaml", "batch_images=4"});
  CHECK(failed.code == 1);
  CHECK(contains(failed.err(), "bn2.running_var is not finite over these images"));
  CHECK(place.read("out/merged.safetensors") == old);
  CHECK(files_in(place / "out") == files);
}

TEST_CASE("an interrupted estimation ends with code 130 and leaves nothing") {
  const ScriptPlace place(
      "merge: {batch_norm: estimate, input: {dataset: random, count: 300000, shape: [3, 32, 32]}}\n");
  Program program(Workplace::command({"merge", "e.yaml"}), place.options());
  CHECK_FALSE(program.wait_for_line("statistics").empty());
  program.signal(SIGINT);
  CHECK(program.code() == 130);
  CHECK(contains(program.err(), "nothing was written"));
  CHECK_FALSE(place.has("runs/0001"));
}

/// Random images; at one of the segments the member's worker is killed.
class KillingSource final : public Source {
 public:
  explicit KillingSource(Ensemble* victim) : victim_(victim) {}
  std::string name() const override { return source_->name(); }
  ImageShape shape() const override { return source_->shape(); }
  std::uint64_t count() const override { return source_->count(); }
  std::uint32_t classes() const override { return 0; }
  bool labelled() const override { return false; }
  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    source_->read(indices, pixels, labels);
    if (victim_ != nullptr && ++segments_ % 4 == 0) ::kill(victim_->status().members[0].pid, SIGKILL);
  }

 private:
  Ensemble* victim_;
  std::unique_ptr<Source> source_ = images::make_random(kImages, {3, 32, 32}, 0, 3);
  int segments_ = 0;
};

TEST_CASE("statistics are the same bytes when the worker is killed on the way") {
  const ScriptPlace place("");
  auto spec = config::load_text(fmt::format(R"(
members: [{{name: merged, model: {{kind: torchscript, path: "{}"}}}}]
assignment: cpu
threads: 1
input: {{shape: [3, 32, 32]}}
segment_images: 6
batch_images: 6
restarts: {{back_off_s: 0.001}}
)",
                                            (place / "n.pt").string()),
                                "e.yaml");
  spec.members[0].train = {};
  spec.members[0].train.batch_images = kBatch;
  spec.members[0].train.init = place / "a.st";
  spec.members[0].train.learns = Learns::statistics;
  const auto learn = [&](const std::string& folder, bool kills) {
    Options options;
    options.training = true;
    Ensemble ensemble(Spec(std::make_shared<const config::EnsembleSpec>(spec)), options);
    KillingSource source(kills ? &ensemble : nullptr);
    ensemble.train(source, place / folder);
    CHECK((ensemble.status().faults.deaths > 0) == kills);
    return place.read(folder + "/merged.safetensors");
  };
  const std::string calm = learn("calm", false);
  CHECK(learn("killed", true) == calm);
  CHECK(learnt_in_a_loop(place, place / "a.st") == calm);
}

}  // namespace
}  // namespace tutti::test
