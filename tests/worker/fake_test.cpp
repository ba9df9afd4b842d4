// The fake member: its arithmetic, its training, its weights, and the faults that it plays.
#include "worker/fake.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include <tutti/error.hpp>

#include "common/random.hpp"
#include "merge/safetensors.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/worker/requests.hpp"

namespace tutti::test {
namespace {

std::vector<float> predict(worker::Model& model, const std::vector<float>& images) {
  const std::size_t count = images.size() / kShape.elements();
  std::vector<float> output(count * elements_of(model.output()));
  model.predict(images.data(), static_cast<std::uint32_t>(count), output);
  return output;
}

/// The text of what `call` throws.
template <class Call>
std::string thrown(Call call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing";
}

TEST_CASE("a fake member outputs what a plain loop computes") {
  config::EnsembleSpec spec = fake_spec(1);
  const auto images = random_images(7);
  for (const auto& [output, over] :
       {std::pair{OutputKind::logits, OutputKind::probabilities}, std::pair{OutputKind::logits, OutputKind::logits},
        std::pair{OutputKind::probabilities, OutputKind::probabilities},
        std::pair{OutputKind::features, OutputKind::features}}) {
    MemberRequest request = fake_request();
    request.output = spec.members[0].output = output;
    request.over = spec.combine.over = over;
    const auto model = worker::make_fake_model(request);
    CHECK(predict(*model, images) == naive_answer(spec, 0, images));
  }
}

TEST_CASE("probabilities of logits sum to one and those of probabilities stay unchanged") {
  const auto images = random_images(1);
  MemberRequest request = fake_request();
  const auto sum_of = [&] {
    float sum = 0;
    for (const float value : predict(*worker::make_fake_model(request), images)) sum += value;
    return sum;
  };
  CHECK(std::abs(sum_of() - 1.0F) < 1e-6F);
  request.output = OutputKind::probabilities;
  CHECK(sum_of() > 2.0F);
}

TEST_CASE("a fake member says its width and its parameters") {
  const auto model = worker::make_fake_model(fake_request({.classes = 6, .faults = {}}));
  CHECK(model->output() == Dims{6});
  CHECK(model->parameters() == 6);
  const auto images = random_images(2);
  const auto probed = model->probe(images.data(), 2);
  CHECK(std::vector<float>(probed.begin(), probed.end()) == predict(*model, images));
}

TEST_CASE("equal seeds give equal outputs and other seeds do not") {
  const auto images = random_images(1);
  MemberRequest other = fake_request();
  other.seed = 101;
  CHECK(predict(*worker::make_fake_model(fake_request()), images) ==
        predict(*worker::make_fake_model(fake_request()), images));
  CHECK(predict(*worker::make_fake_model(other), images) != predict(*worker::make_fake_model(fake_request()), images));
}

TEST_CASE("a fake member that does not read its input gives the same output for all images") {
  MemberRequest request = fake_request({.classes = 4, .reads_input = false, .faults = {}});
  const auto model = worker::make_fake_model(request);
  const auto answer = predict(*model, random_images(1));
  std::vector<float> twice = answer;
  twice.insert(twice.end(), answer.begin(), answer.end());
  CHECK(predict(*model, random_images(2)) == twice);
  request.seed += 1;
  CHECK(predict(*worker::make_fake_model(request), random_images(1)) != answer);
}

TEST_CASE("a model with a private copy gives the same output even if it writes to its input") {
  auto images = random_images(2);
  const auto before = images;
  MemberRequest request = fake_request({.classes = 4, .writes_input = true, .faults = {}});
  request.copy_input = true;
  const auto answer = predict(*worker::make_fake_model(request), images);
  CHECK(images == before);
  request.copy_input = false;
  CHECK(predict(*worker::make_fake_model(request), images) == answer);  // the same change, to the shared images
  CHECK(images != before);
}

TEST_CASE("training moves the bias of each label by a learning rate that falls with every image") {
  MemberRequest request = fake_request();
  request.learning_rate = 0.5;
  request.output = request.over = OutputKind::logits;
  const auto model = worker::make_fake_model(request);
  const auto images = random_images(3);
  const auto before = predict(*model, images);
  model->trainable()->begin_training();
  const std::vector<std::int64_t> labels{2, 0, 1};
  const std::vector<std::uint32_t> rows{0, 0, 1};
  const worker::TrainBatch batch = model->trainable()->train(images.data(), labels, rows);
  CHECK(batch.correct <= 3);
  CHECK(batch.loss_sum > 0);
  const auto after = predict(*model, images);
  CHECK(after[0] - before[0] == doctest::Approx(0.5 / (1 + 2.0 / 1024)));
  CHECK(after[1] == before[1]);
  CHECK(after[2] - before[2] == doctest::Approx(0.5 + 0.5 / (1 + 1.0 / 1024)));
  CHECK(after[3] == before[3]);
}

TEST_CASE("weights that were saved are loaded again bit for bit") {
  const TemporaryFolder folder;
  MemberRequest request = fake_request();
  const auto model = worker::make_fake_model(request);
  const auto images = random_images(4);
  model->trainable()->train(images.data(), std::vector<std::int64_t>{3}, std::vector<std::uint32_t>{0});
  model->trainable()->save(folder / "m.safetensors");
  request.seed = 999;
  request.weights = (folder / "m.safetensors").string();
  CHECK(predict(*worker::make_fake_model(request), images) == predict(*model, images));
}

TEST_CASE("weights of another size or name are rejected with the file") {
  const TemporaryFolder folder;
  const std::string file = (folder / "m.safetensors").string();
  worker::make_fake_model(fake_request({.classes = 5, .faults = {}}))->trainable()->save(file);
  MemberRequest request = fake_request();
  request.weights = file;
  CHECK(thrown([&] { worker::make_fake_model(request); }) ==
        "'" + file + "': tensor 'bias' must hold 4 float32 values");
  const std::vector<std::byte> bytes(16);
  const merge::TensorView other{"weight", merge::Dtype::f32, {4}, bytes};
  merge::write_safetensors(file, std::span(&other, 1));
  CHECK(thrown([&] { worker::make_fake_model(request); }).find(file) != std::string::npos);
  request.weights = (folder / "none.safetensors").string();
  CHECK(thrown([&] { worker::make_fake_model(request); }).find("none.safetensors") != std::string::npos);
}

TEST_CASE("weights that hold NaN or infinity are rejected with the file and the tensor") {
  const TemporaryFolder folder;
  MemberRequest request = fake_request();
  request.weights = (folder / "m.safetensors").string();
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    const std::array<float, 4> values{1, 2, value, 4};
    const merge::TensorView bias{"bias", merge::Dtype::f32, {4}, std::as_bytes(std::span(values))};
    merge::write_safetensors(request.weights, std::span(&bias, 1));
    const std::string said = thrown([&] { worker::make_fake_model(request); });
    CHECK(said.starts_with("'" + request.weights + "' holds NaN or infinity\n  detail: first in 'bias'\n  hint: "));
    CHECK(said.find("may have diverged") != said.npos);
  }
}

TEST_CASE("a label outside the classes is rejected with its number") {
  const auto model = worker::make_fake_model(fake_request());
  const auto images = random_images(1);
  for (const std::int64_t label : {std::int64_t{4}, std::int64_t{-1}})
    CHECK(thrown([&] {
            model->trainable()->train(images.data(), std::vector{label}, std::vector<std::uint32_t>{0});
          }) == "label " + std::to_string(label) + " is outside the 4 classes");
}

TEST_CASE("a scripted exception comes at its batch and only there") {
  const auto model =
      worker::make_fake_model(fake_request({.classes = 4, .faults = {{FaultKind::exception, FaultPhase::predict, 2}}}));
  const auto images = random_images(1);
  model->probe(images.data(), 1);  // counts in a separate phase
  model->probe(images.data(), 1);
  model->probe(images.data(), 1);
  predict(*model, images);
  predict(*model, images);
  CHECK(thrown([&] { predict(*model, images); }) == "scripted fault: exception");
  predict(*model, images);
}

TEST_CASE("a scripted NaN is in the first value of its batch") {
  const auto model =
      worker::make_fake_model(fake_request({.classes = 4, .faults = {{FaultKind::nan, FaultPhase::predict, 1}}}));
  const auto images = random_images(2);
  CHECK(std::isfinite(predict(*model, images)[0]));
  const auto answer = predict(*model, images);
  CHECK(std::isnan(answer[0]));
  CHECK(std::isfinite(answer[1]));
}

TEST_CASE("a fault with a value strikes at every batch that holds such an image") {
  auto images = random_images(3);
  const auto model = worker::make_fake_model(
      fake_request({.classes = 4, .faults = {{FaultKind::exception, FaultPhase::predict, 0, 0.1F}}}));
  images[1] = 0.1F;  // not the first value of an image
  images[2 * kShape.elements()] = std::nextafter(0.1F, 1.0F);
  predict(*model, images);
  images[2 * kShape.elements()] = 0.1F;
  CHECK(thrown([&] { predict(*model, images); }) == "scripted fault: exception");
  CHECK(thrown([&] { predict(*model, images); }) == "scripted fault: exception");
  model->probe(images.data(), 3);  // another phase
  images.resize(2 * kShape.elements());
  predict(*model, images);
}

TEST_CASE("a fault with a value strikes in training at the rows that are picked") {
  auto images = random_images(3);
  images[kShape.elements()] = -2.5F;
  const auto model = worker::make_fake_model(
      fake_request({.classes = 4, .faults = {{FaultKind::exception, FaultPhase::train, 0, -2.5F}}}));
  const std::vector<std::int64_t> labels{0, 1, 2};
  model->trainable()->train(images.data(), labels, std::vector<std::uint32_t>{0, 2});
  CHECK(thrown([&] {
          model->trainable()->train(images.data(), labels, std::vector<std::uint32_t>{2, 1});
        }) == "scripted fault: exception");
}

TEST_CASE("a scripted stop stops the process and lets it continue after SIGCONT") {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto model =
        worker::make_fake_model(fake_request({.classes = 4, .faults = {{FaultKind::stop, FaultPhase::predict, 0}}}));
    predict(*model, random_images(1));
    ::_exit(5);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
  CHECK(WIFSTOPPED(status));
  ::kill(child, SIGCONT);
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 5));
}

TEST_CASE("a fault of the load phase strikes while the member is made") {
  CHECK(
      thrown([] {
        worker::make_fake_model(fake_request({.classes = 4, .faults = {{FaultKind::exception, FaultPhase::load, 0}}}));
      }) == "scripted fault: exception");
}

TEST_CASE("faults of warm-up and training strike only in their phase") {
  const auto images = random_images(1);
  const auto model = worker::make_fake_model(fake_request(
      {.classes = 4,
       .faults = {{FaultKind::exception, FaultPhase::warm_up, 0}, {FaultKind::exception, FaultPhase::train, 0}}}));
  predict(*model, images);
  CHECK(thrown([&] { model->probe(images.data(), 1); }) == "scripted fault: exception");
  CHECK(thrown([&] {
          model->trainable()->train(images.data(), std::vector<std::int64_t>{0}, std::vector<std::uint32_t>{0});
        }) == "scripted fault: exception");
}

}  // namespace
}  // namespace tutti::test
