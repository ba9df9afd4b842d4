// What the C API predicts and reports, over real workers: the same as the C++ API.
#include <signal.h>

#include <atomic>
#include <cstring>
#include <future>
#include <thread>

#include <tutti/ensemble.hpp>

#include "common/json.hpp"
#include "coordinator/c_api/objects.hpp"
#include "tests/c_api/calls.hpp"
#include "tests/common/error_of.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

Predictions by_the_other_api(const std::string& yaml, const std::vector<float>& pixels) {
  Options options;
  options.worker = test::kWorkerProgram;
  Ensemble ensemble(parse_spec(yaml), options);
  return ensemble.predict(Images(std::span<const float>(pixels), kShape));
}

std::vector<float> list_of(const tutti_values& values) {
  return {values.data, values.data + values.count * values.width};
}

TEST_CASE("images in C give the bytes that they give in C++ with classes and the members' parts") {
  const std::string yaml = std::string(kYaml) + "save_members: true\n";
  const std::vector<float> pixels = random_images(20);
  const Predictions expected = by_the_other_api(yaml, pixels);
  tutti_ensemble* ensemble = started(yaml);
  const tutti_images images = images_of(pixels);
  tutti_predictions* predictions = nullptr;
  succeeds([&](tutti_error** e) { return tutti_predict_images(ensemble, &images, &predictions, e); });
  freed(ensemble);  // the predictions do not need it

  tutti_values values{};
  succeeds([&](tutti_error** e) { return tutti_predictions_values(predictions, &values, e); });
  CHECK(values.count == 20);
  CHECK(values.width == 4);
  REQUIRE(values.rank == 1);
  CHECK(values.shape[0] == 4);
  CHECK(list_of(values) == expected.values);
  tutti_classes classes{};
  succeeds([&](tutti_error** e) { return tutti_predictions_classes(predictions, &classes, e); });
  CHECK(classes.width == 1);
  CHECK(std::vector<std::int64_t>(classes.data, classes.data + classes.count) == expected.predicted);
  tutti_values spread{};
  succeeds([&](tutti_error** e) { return tutti_predictions_spread(predictions, &spread, e); });
  CHECK(spread.data == nullptr);
  std::size_t members = 0;
  succeeds([&](tutti_error** e) { return tutti_predictions_member_count(predictions, &members, e); });
  REQUIRE(members == 2);
  const char* name = nullptr;
  succeeds([&](tutti_error** e) { return tutti_predictions_member(predictions, 1, &name, &values, e); });
  CHECK(std::string(name) == "m1");
  CHECK(list_of(values) == expected.members[1].values);
  is_misuse([&](tutti_error** e) { return tutti_predictions_member(predictions, 2, &name, &values, e); },
            "tutti_predictions_member() was asked for member 2");
  std::size_t incomplete = 1;
  succeeds([&](tutti_error** e) { return tutti_predictions_incomplete_count(predictions, &incomplete, e); });
  CHECK(incomplete == 0);
  CHECK(tutti_predictions_free(predictions, nullptr) == TUTTI_OK);
  is_misuse([&](tutti_error** e) { return tutti_predictions_free(predictions, e); },
            "tutti_predictions_free() was given a tutti_predictions that was freed already");
}

TEST_CASE("tensors go by their names and their types") {
  const std::string yaml =
      "members:\n"
      "  - {name: a, model: {kind: fake, classes: 3}, takes: table}\n"
      "assignment: cpu\n"
      "input: {inputs: {table: {shape: [2]}, id: {shape: [], dtype: int64}}}\n";
  tutti_ensemble* ensemble = started(yaml);
  const float table[] = {0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F};
  const std::int64_t ids[] = {7, 8, 9};
  const std::uint32_t two = 2;
  const tutti_tensor tensors[] = {{"id", TUTTI_INT64, ids, nullptr, 0}, {"table", TUTTI_FLOAT32, table, &two, 1}};
  tutti_predictions* predictions = nullptr;
  succeeds([&](tutti_error** e) { return tutti_predict_tensors(ensemble, tensors, 2, 3, &predictions, e); });
  tutti_values values{};
  succeeds([&](tutti_error** e) { return tutti_predictions_values(predictions, &values, e); });
  CHECK(values.count == 3);
  CHECK(tutti_predictions_free(predictions, nullptr) == TUTTI_OK);

  const Said missing =
      said([&](tutti_error** e) { return tutti_predict_tensors(ensemble, tensors + 1, 1, 3, &predictions, e); });
  CHECK(missing.code == TUTTI_USAGE);
  CHECK(predictions == nullptr);
  tutti_tensor odd = tensors[0];
  odd.rank = 9;
  is_misuse([&](tutti_error** e) { return tutti_predict_tensors(ensemble, &odd, 1, 3, &predictions, e); },
            "tutti_predict_tensors() was given a tensor of rank 9");
  odd.rank = 0;
  odd.name = nullptr;
  is_misuse([&](tutti_error** e) { return tutti_predict_tensors(ensemble, &odd, 1, 3, &predictions, e); },
            "tutti_predict_tensors() was given NULL for 'name'");
  is_misuse([&](tutti_error** e) { return tutti_predict_tensors(ensemble, tensors, 2, UINT64_MAX, &predictions, e); },
            "tutti_predict_tensors() was given more samples than fit into memory");
  const std::uint32_t huge[] = {0xffffffff, 0xffffffff, 0xffffffff};
  odd = {"table", TUTTI_FLOAT32, table, huge, 3};
  is_misuse([&](tutti_error** e) { return tutti_predict_tensors(ensemble, &odd, 1, 1, &predictions, e); },
            "tutti_predict_tensors() was given sizes whose product is too large");
  freed(ensemble);
}

TEST_CASE("images that are wrong are refused and the ensemble predicts on") {
  tutti_ensemble* ensemble = started();
  const std::vector<float> pixels = random_images(2);
  tutti_predictions* predictions = nullptr;
  const auto predict = [&](const tutti_images& images) {
    return said([&](tutti_error** e) { return tutti_predict_images(ensemble, &images, &predictions, e); });
  };
  tutti_images images = images_of(pixels);
  images.pixels = nullptr;
  CHECK(predict(images).message == "tutti_predict_images() was given NULL for 'pixels'");
  images = images_of(pixels);
  const int nine = 9;
  std::memcpy(&images.dtype, &nine, sizeof nine);
  CHECK(predict(images).message == "tutti_predict_images() was given a 'dtype' that does not exist");
  images.dtype = TUTTI_INT64;
  CHECK(predict(images).message == "tutti_predict_images() takes images of TUTTI_FLOAT32 or TUTTI_UINT8");
  images = images_of(pixels);
  images.width = 0;
  CHECK(predict(images).message == "tutti_predict_images() was given images of 2 channels, 3 rows and 0 columns");
  images.width = 4;
  images.count = 1;
  CHECK(predict(images).code == TUTTI_USAGE);  // the ensemble's shape is another
  CHECK(predictions == nullptr);
  images = images_of(pixels);
  images.count = 0;
  CHECK(predict(images).code == TUTTI_OK);
  CHECK(tutti_predictions_free(predictions, nullptr) == TUTTI_OK);
  CHECK(predict(images_of(pixels)).code == TUTTI_OK);
  CHECK(tutti_predictions_free(predictions, nullptr) == TUTTI_OK);
  freed(ensemble);
}

TEST_CASE("masks have the sizes of a prediction and a class for each pixel") {
  tutti_ensemble* ensemble = started(
      "members: [{name: a, model: {kind: fake, classes: 3, per_class: [2, 5]}}]\n"
      "assignment: cpu\ninput: {shape: [2, 3, 3]}\n");
  const std::vector<float> pixels = random_images(4);
  const tutti_images images = images_of(pixels);
  tutti_predictions* predictions = nullptr;
  succeeds([&](tutti_error** e) { return tutti_predict_images(ensemble, &images, &predictions, e); });
  tutti_values values{};
  tutti_classes classes{};
  succeeds([&](tutti_error** e) { return tutti_predictions_values(predictions, &values, e); });
  succeeds([&](tutti_error** e) { return tutti_predictions_classes(predictions, &classes, e); });
  CHECK(std::vector(values.shape, values.shape + values.rank) == Dims{3, 2, 5});
  CHECK(values.width == 30);
  CHECK(classes.width == 10);
  CHECK(tutti_predictions_free(predictions, nullptr) == TUTTI_OK);
  freed(ensemble);
}

TEST_CASE("a thread that predicts while another frees the ensemble is interrupted") {
  tutti_ensemble* ensemble = started(
      "members: [{name: a, model: {kind: fake, classes: 3, faults: [{kind: hang, phase: predict}]}}]\nassignment: cpu\n"
      "input: {shape: [2, 3, 3]}\nstop_deadline_s: 1\nprogress_deadline_s: off\n");
  const std::vector<float> pixels = random_images(1);
  const tutti_images images = images_of(pixels);
  std::atomic<bool> calls = false;
  tutti_code code = TUTTI_OK;
  std::thread other([&] {
    tutti_predictions* predictions = nullptr;
    calls = true;
    code = tutti_predict_images(ensemble, &images, &predictions, nullptr);
  });
  while (!calls) std::this_thread::yield();
  freed(ensemble);
  other.join();
  // Usage if it came too late to be a call.
  CHECK((code == TUTTI_INTERRUPTED || code == TUTTI_USAGE));
  is_misuse([&](tutti_error** e) { return tutti_ensemble_free(ensemble, e); },
            "tutti_ensemble_free() was given a tutti_ensemble that was freed already");
}

TEST_CASE("an ensemble is destroyed after the calls that found it and takes no later ones") {
  const Spec spec = parse_spec(kYaml);
  const auto held = std::make_shared<c_api::HeldEnsemble>(spec, with_this_worker());
  auto use = std::make_unique<c_api::HeldEnsemble::Use>(held);
  std::atomic<bool> closed = false;
  std::thread other([&] {
    held->close();
    closed = true;
  });
  while ((*use)->health().ready) std::this_thread::yield();
  for (int i = 0; i < 50; ++i) CHECK((*use)->status(StatusDetail::memory).members.size() == 2);
  CHECK_FALSE(closed);
  use.reset();
  other.join();
  const auto error = error_of([&] { const c_api::HeldEnsemble::Use late(held); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::interrupted);
  CHECK(error->message() == "the ensemble was freed before this call began");
}

TEST_CASE("a member is replaced and predicts otherwise and an error leaves the old one") {
  const std::string other = std::string(kYaml) + "seed: 0\n";
  tutti_ensemble* ensemble = started(other);
  const auto value = [&] {
    const std::vector<float> pixels(18, 0.5F);
    const tutti_images images{pixels.data(), TUTTI_FLOAT32, 1, 2, 3, 3};
    tutti_predictions* predictions = nullptr;
    tutti_values values{};
    succeeds([&](tutti_error** e) { return tutti_predict_images(ensemble, &images, &predictions, e); });
    succeeds([&](tutti_error** e) { return tutti_predictions_values(predictions, &values, e); });
    const float first = values.data[0];
    CHECK(tutti_predictions_free(predictions, nullptr) == TUTTI_OK);
    return first;
  };
  const float before = value();
  const char* const seed[] = {"members.0.seed=77"};
  tutti_spec* next = nullptr;
  succeeds([&](tutti_error** e) { return tutti_spec_parse(TUTTI_ABI, other.c_str(), nullptr, seed, 1, &next, e); });
  is_misuse([&](tutti_error** e) { return tutti_ensemble_replace_member(ensemble, "m7", next, e); },
            "there is no member 'm7' to replace");
  is_misuse([&](tutti_error** e) { return tutti_ensemble_replace_member(ensemble, nullptr, next, e); },
            "tutti_ensemble_replace_member() was given NULL for 'name'");
  CHECK(value() == before);
  succeeds([&](tutti_error** e) { return tutti_ensemble_replace_member(ensemble, "m0", next, e); });
  CHECK(value() != before);
  CHECK(tutti_spec_free(next, nullptr) == TUTTI_OK);
  freed(ensemble);
}

TEST_CASE("a member comes from a description and goes by its name") {
  tutti_ensemble* ensemble = started();
  const auto members = [&] {
    tutti_text* text = nullptr;
    succeeds([&](tutti_error** e) { return tutti_ensemble_status(ensemble, 0, &text, e); });
    const json::value status = parse_json(tutti_text_data(text), "the status");
    CHECK(tutti_text_free(text, nullptr) == TUTTI_OK);
    std::vector<std::string> names;
    for (const json::value& member : status.at("members").as_array()) names.emplace_back(member.at("name").as_string());
    return names;
  };
  const std::vector<std::string> before = members();
  const char* const name[] = {"members.0.name=more"};
  tutti_spec* from = nullptr;
  succeeds([&](tutti_error** e) { return tutti_spec_parse(TUTTI_ABI, kYaml, nullptr, name, 1, &from, e); });
  is_misuse([&](tutti_error** e) { return tutti_ensemble_add_member(ensemble, from, "m7", e); },
            "the description has no member 'm7' to add");
  is_misuse([&](tutti_error** e) { return tutti_ensemble_add_member(ensemble, from, nullptr, e); },
            "tutti_ensemble_add_member() was given NULL for 'name'");
  succeeds([&](tutti_error** e) { return tutti_ensemble_add_member(ensemble, from, "more", e); });
  CHECK(tutti_spec_free(from, nullptr) == TUTTI_OK);
  CHECK(members().size() == before.size() + 1);
  CHECK(members().back() == "more");
  is_misuse([&](tutti_error** e) { return tutti_ensemble_remove_member(ensemble, "m7", e); },
            "there is no member 'm7' to remove");
  is_misuse([&](tutti_error** e) { return tutti_ensemble_remove_member(ensemble, nullptr, e); },
            "tutti_ensemble_remove_member() was given NULL for 'name'");
  succeeds([&](tutti_error** e) { return tutti_ensemble_remove_member(ensemble, "more", e); });
  CHECK(members() == before);
  freed(ensemble);
}

TEST_CASE("status and health are JSON with the names of the members") {
  tutti_ensemble* ensemble = started();
  int ready = 0;
  tutti_text* text = nullptr;
  succeeds([&](tutti_error** e) { return tutti_ensemble_health(ensemble, &ready, &text, e); });
  CHECK(ready == 1);
  CHECK(std::string(tutti_text_data(text)) == "[]");
  succeeds([&](tutti_error** e) { return tutti_text_free(text, e); });
  is_misuse([&](tutti_error** e) { return tutti_text_free(text, e); },
            "tutti_text_free() was given a tutti_text that was freed already");
  CHECK(std::string(tutti_text_data(text)) == "this is not a tutti_text, or it was freed already");
  succeeds([&](tutti_error** e) { return tutti_ensemble_status(ensemble, 1, &text, e); });
  const json::value status = parse_json(tutti_text_data(text), "the status");
  CHECK(status.at("state") == "ready");
  CHECK(status.at("members").at(1).at("name") == "m1");
  CHECK(status.at("members").at(0).at("state") == "running");
  CHECK(status.at("members").at(0).at("pss_bytes").is_uint64() !=
        status.at("members").at(0).at("pss_bytes").is_int64());
  CHECK(status.at("faults").at("deaths") == 0);
  CHECK(tutti_text_free(text, nullptr) == TUTTI_OK);

  succeeds([&](tutti_error** e) { return tutti_ensemble_drain(ensemble, e); });
  succeeds([&](tutti_error** e) { return tutti_ensemble_health(ensemble, &ready, &text, e); });
  CHECK(ready == 0);
  CHECK(std::string(tutti_text_data(text)) == "[\"the ensemble is draining\"]");
  CHECK(tutti_text_free(text, nullptr) == TUTTI_OK);
  succeeds([&](tutti_error** e) { return tutti_ensemble_interrupt(ensemble, e); });
  freed(ensemble);
}

/// The member of the first event of a kind.
struct Heard {
  tutti_event_kind kind = TUTTI_DIED;
  std::promise<std::string> member;
  std::atomic<bool> told = false;
  static void event(void* user, tutti_event_kind kind, const char* member, const char* /*text*/) {
    auto& heard = *static_cast<Heard*>(user);
    if (kind == heard.kind && !heard.told.exchange(true)) heard.member.set_value(member);
  }
};

TEST_CASE("the death of a worker is told as an event with the name of its member") {
  Heard heard;
  tutti_options options = with_this_worker();
  options.on_event = Heard::event;
  options.on_event_user = &heard;
  tutti_ensemble* ensemble = started(kYaml, options);
  tutti_text* text = nullptr;
  succeeds([&](tutti_error** e) { return tutti_ensemble_status(ensemble, 0, &text, e); });
  const json::value status = parse_json(tutti_text_data(text), "the status");
  CHECK(tutti_text_free(text, nullptr) == TUTTI_OK);
  ::kill(static_cast<int>(status.at("members").at(1).at("pid").as_int64()), SIGKILL);
  CHECK(heard.member.get_future().get() == "m1");
  freed(ensemble);
}

TEST_CASE("a member that comes is told as an event, and so is one that goes") {
  for (const tutti_event_kind kind : {TUTTI_JOINED, TUTTI_LEFT}) {
    Heard heard;
    heard.kind = kind;
    tutti_options options = with_this_worker();
    options.on_event = Heard::event;
    options.on_event_user = &heard;
    tutti_ensemble* ensemble = started(kYaml, options);
    const char* const name[] = {"members.0.name=more"};
    tutti_spec* from = nullptr;
    succeeds([&](tutti_error** e) { return tutti_spec_parse(TUTTI_ABI, kYaml, nullptr, name, 1, &from, e); });
    succeeds([&](tutti_error** e) { return tutti_ensemble_add_member(ensemble, from, "more", e); });
    CHECK(tutti_spec_free(from, nullptr) == TUTTI_OK);
    succeeds([&](tutti_error** e) { return tutti_ensemble_remove_member(ensemble, "more", e); });
    CHECK(heard.member.get_future().get() == "more");
    freed(ensemble);
  }
}

TEST_CASE("a run of samples that lacks a member is listed") {
  tutti_ensemble* ensemble = started(
      "members:\n"
      "  - {name: a, model: {kind: fake, classes: 3}}\n"
      "  - {name: b, model: {kind: fake, classes: 3, faults: [{kind: nan, at_value: -0.5}]}}\n"
      "assignment: cpu\ninput: {shape: [2, 3, 3]}\nsegment_images: 8\non_nan: degrade\n");
  std::vector<float> pixels = random_images(20);
  pixels[std::size_t{9} * 18] = -0.5F;  // in the second segment
  const tutti_images images = images_of(pixels);
  tutti_predictions* predictions = nullptr;
  succeeds([&](tutti_error** e) { return tutti_predict_images(ensemble, &images, &predictions, e); });
  std::size_t count = 0;
  succeeds([&](tutti_error** e) { return tutti_predictions_incomplete_count(predictions, &count, e); });
  REQUIRE(count == 1);
  tutti_incomplete lacks{};
  succeeds([&](tutti_error** e) { return tutti_predictions_incomplete(predictions, 0, &lacks, e); });
  CHECK(lacks.first == 8);
  CHECK(lacks.count == 8);
  CHECK(lacks.members_present == 1);
  REQUIRE(lacks.absent_count == 1);
  CHECK(lacks.absent[0] == 1);
  CHECK(lacks.set_aside == 0);
  is_misuse([&](tutti_error** e) { return tutti_predictions_incomplete(predictions, 1, &lacks, e); },
            "tutti_predictions_incomplete() was asked for the run of samples 1");
  CHECK(tutti_predictions_free(predictions, nullptr) == TUTTI_OK);
  freed(ensemble);
}

}  // namespace
}  // namespace tutti::test
