// Submissions through the C API: what comes back, what is given up or refused, and what a callback may do.
#include <algorithm>
#include <fstream>
#include <future>
#include <iterator>
#include <string>
#include <vector>

#include "tests/c_api/calls.hpp"
#include "tests/support/fake_ensemble.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

/// A result that a callback gave.
struct Answer {
  tutti_predictions* predictions = nullptr;
  tutti_code code = TUTTI_OK;
  std::string message;
};

/// What submissions call back; the address is their `user`.
struct Waiting {
  std::promise<Answer> promise;
  static void done(void* user, tutti_predictions* predictions, tutti_error* error) {
    CHECK((predictions == nullptr) != (error == nullptr));
    Answer answer{predictions, tutti_error_code(error), tutti_error_message(error)};
    CHECK(tutti_error_free(error) == TUTTI_OK);
    static_cast<Waiting*>(user)->promise.set_value(answer);
  }
  Answer wait() { return promise.get_future().get(); }
};

TEST_CASE("submissions call back once and those that are given up say why") {
  tutti_ensemble* ensemble = started();
  const std::vector<float> pixels = random_images(8);
  const tutti_images images = images_of(pixels);
  const auto submit = [&](Waiting& waiting, const tutti_submit_options* options) {
    return said(
        [&](tutti_error** e) { return tutti_submit_images(ensemble, &images, options, Waiting::done, &waiting, e); });
  };
  Waiting first;
  CHECK(submit(first, nullptr).code == TUTTI_OK);
  const Answer answer = first.wait();
  REQUIRE(answer.predictions != nullptr);
  CHECK(tutti_predictions_free(answer.predictions, nullptr) == TUTTI_OK);

  tutti_submit_options options = TUTTI_SUBMIT_OPTIONS_INIT;
  tutti_stop* stop = nullptr;
  succeeds([&](tutti_error** e) { return tutti_stop_create(&stop, e); });
  succeeds([&](tutti_error** e) { return tutti_stop_request(stop, e); });
  options.stop = stop;
  Waiting stopped;
  CHECK(submit(stopped, &options).code == TUTTI_OK);
  CHECK(stopped.wait().code == TUTTI_INTERRUPTED);
  CHECK(tutti_stop_free(stop, nullptr) == TUTTI_OK);
  Waiting never;
  CHECK(submit(never, &options).message == "tutti_submit_images() was given a tutti_stop that was freed already");
  options = TUTTI_SUBMIT_OPTIONS_INIT;
  options.timeout_ns = 1;
  Waiting late;
  const Said accepted = submit(late, &options);
  CHECK(accepted.code == TUTTI_OK);
  CHECK(late.wait().message == "the prediction was not ready at its deadline");
  options.timeout_ns = UINT64_MAX;  // later than the clock can say
  Waiting patient;
  CHECK(submit(patient, &options).code == TUTTI_OK);
  CHECK(tutti_predictions_free(patient.wait().predictions, nullptr) == TUTTI_OK);
  options.size = 4;
  CHECK(submit(never, &options).message == "tutti_submit_images() was given a tutti_submit_options of another size");
  freed(ensemble);
}

TEST_CASE("a full queue refuses and the ensemble that is freed ends what waits") {
  tutti_options options = with_this_worker();
  options.most_submissions = 1;
  // A batch never ends, so nothing is ready before the ensemble is freed.
  tutti_ensemble* ensemble = started(
      "members: [{name: a, model: {kind: fake, classes: 3, faults: [{kind: hang, phase: predict}]}}]\nassignment: cpu\n"
      "input: {shape: [2, 3, 3]}\nstop_deadline_s: 1\nprogress_deadline_s: off\n",
      options);
  const std::vector<float> pixels = random_images(1);
  const tutti_images images = images_of(pixels);
  Waiting first;
  succeeds([&](tutti_error** e) { return tutti_submit_images(ensemble, &images, nullptr, Waiting::done, &first, e); });
  tutti_submit_options refuse = TUTTI_SUBMIT_OPTIONS_INIT;
  refuse.refuse_when_full = 1;
  Waiting second;
  CHECK(said([&](tutti_error** e) {
          return tutti_submit_images(ensemble, &images, &refuse, Waiting::done, &second, e);
        }).code == TUTTI_QUEUE_FULL);
  freed(ensemble);
  CHECK(first.wait().code == TUTTI_INTERRUPTED);
}

/// What a callback may not do, and what it said.
struct InACallback {
  tutti_ensemble* ensemble = nullptr;
  const tutti_images* images = nullptr;
  Said predicted;
  Said freed;
  Said submitted;
  std::promise<void> over;
  Waiting next;

  static void done(void* user, tutti_predictions* predictions, tutti_error* error) {
    auto& self = *static_cast<InACallback*>(user);
    CHECK(error == nullptr);
    CHECK(tutti_predictions_free(predictions, nullptr) == TUTTI_OK);
    tutti_predictions* none = nullptr;
    self.predicted = said([&](tutti_error** e) { return tutti_predict_images(self.ensemble, self.images, &none, e); });
    self.freed = said([&](tutti_error** e) { return tutti_ensemble_free(self.ensemble, e); });
    self.submitted = said([&](tutti_error** e) {
      return tutti_submit_images(self.ensemble, self.images, nullptr, Waiting::done, &self.next, e);
    });
    self.over.set_value();
  }
};

TEST_CASE("a callback may submit but neither predict nor free its ensemble") {
  const std::vector<float> pixels = random_images(3);
  const tutti_images images = images_of(pixels);
  InACallback callback;
  callback.images = &images;
  callback.ensemble = started();
  succeeds([&](tutti_error** e) {
    return tutti_submit_images(callback.ensemble, &images, nullptr, InACallback::done, &callback, e);
  });
  callback.over.get_future().wait();
  CHECK(callback.predicted.code == TUTTI_USAGE);
  CHECK(callback.predicted.message ==
        "tutti_predict_images() was called in a callback of a submission to the same ensemble");
  CHECK(callback.freed.code == TUTTI_USAGE);
  CHECK(callback.freed.message == "tutti_ensemble_free() was called in a callback of the same ensemble");
  CHECK(callback.submitted.code == TUTTI_OK);
  CHECK(tutti_predictions_free(callback.next.wait().predictions, nullptr) == TUTTI_OK);
  freed(callback.ensemble);
}

/// The values of predictions, which are freed.
std::vector<float> taken(tutti_predictions* predictions) {
  tutti_values values{};
  succeeds([&](tutti_error** e) { return tutti_predictions_values(predictions, &values, e); });
  std::vector<float> list(values.data, values.data + values.count * values.width);
  CHECK(tutti_predictions_free(predictions, nullptr) == TUTTI_OK);
  return list;
}

TEST_CASE("encoded pictures are predicted and submitted alike and one that cannot be decoded is named") {
  tutti_ensemble* ensemble =
      started("members: [{name: a, model: {kind: fake, classes: 3}}]\nassignment: cpu\ninput: {resize: [4, 5]}\n");
  std::ifstream in(test::in_sources("tests/images/data/encoded/full_colour.jpg"), std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(in), {}};
  const tutti_encoded pictures[] = {{file.data(), file.size()}, {file.data(), file.size()}};
  tutti_predictions* predictions = nullptr;
  succeeds([&](tutti_error** e) { return tutti_predict_encoded(ensemble, pictures, 2, &predictions, e); });
  const std::vector<float> expected = taken(predictions);
  CHECK(expected.size() == 6);
  Waiting waiting;
  succeeds([&](tutti_error** e) {
    return tutti_submit_encoded(ensemble, pictures, 2, nullptr, Waiting::done, &waiting, e);
  });
  CHECK(taken(waiting.wait().predictions) == expected);
  const tutti_encoded broken = {"no picture", 10};
  Waiting refused;
  succeeds(
      [&](tutti_error** e) { return tutti_submit_encoded(ensemble, &broken, 1, nullptr, Waiting::done, &refused, e); });
  const Answer answer = refused.wait();
  CHECK(answer.code != TUTTI_OK);
  CHECK(answer.message.find("picture 0") != std::string::npos);
  freed(ensemble);
}

TEST_CASE("tensors are submitted and their names and sizes may go before the callback") {
  tutti_ensemble* ensemble = started(
      "members: [{name: a, model: {kind: fake, classes: 3}}]\nassignment: cpu\ninput: {inputs: {table: {shape: "
      "[2]}}}\n");
  const float table[] = {0.1F, 0.2F, 0.3F, 0.4F};
  Waiting waiting;
  {
    std::string name = "table";
    std::uint32_t two = 2;
    const tutti_tensor tensor = {name.c_str(), TUTTI_FLOAT32, table, &two, 1};
    succeeds([&](tutti_error** e) {
      return tutti_submit_tensors(ensemble, &tensor, 1, 2, nullptr, Waiting::done, &waiting, e);
    });
    name = "other";
    two = 7;
  }
  CHECK(taken(waiting.wait().predictions).size() == 6);
  freed(ensemble);
}

/// A lease of `count` images, and where they go.
struct Leased {
  Leased(tutti_ensemble* ensemble, std::uint64_t count) {
    succeeds([&](tutti_error** e) { return tutti_lease_create(ensemble, count, nullptr, &lease, e); });
    succeeds([&](tutti_error** e) { return tutti_lease_tensor(lease, 0, &tensor, e); });
  }
  tutti_lease* lease = nullptr;
  tutti_leased_tensor tensor{};
};

TEST_CASE("samples that are written into a lease are predicted like others") {
  tutti_ensemble* ensemble = started();
  const std::vector<float> pixels = random_images(3);
  const tutti_images images = images_of(pixels);
  tutti_predictions* expected = nullptr;
  succeeds([&](tutti_error** e) { return tutti_predict_images(ensemble, &images, &expected, e); });
  Leased leased(ensemble, 3);
  std::size_t count = 0;
  succeeds([&](tutti_error** e) { return tutti_lease_tensor_count(leased.lease, &count, e); });
  CHECK(count == 1);
  CHECK(leased.tensor.name == std::string("image"));
  CHECK(leased.tensor.dtype == TUTTI_FLOAT32);
  CHECK(std::vector(leased.tensor.dims, leased.tensor.dims + leased.tensor.rank) ==
        std::vector<std::uint32_t>{2, 3, 3});
  REQUIRE(leased.tensor.size == pixels.size() * sizeof(float));
  std::copy(pixels.begin(), pixels.end(), static_cast<float*>(leased.tensor.data));
  Waiting waiting;
  succeeds(
      [&](tutti_error** e) { return tutti_submit_lease(ensemble, leased.lease, nullptr, Waiting::done, &waiting, e); });
  CHECK(taken(waiting.wait().predictions) == taken(expected));
  Waiting never;
  is_misuse(
      [&](tutti_error** e) { return tutti_submit_lease(ensemble, leased.lease, nullptr, Waiting::done, &never, e); },
      "the lease was submitted already");
  is_misuse([&](tutti_error** e) { return tutti_lease_tensor(leased.lease, 0, &leased.tensor, e); },
            "the lease was submitted already");
  succeeds([&](tutti_error** e) { return tutti_lease_free(leased.lease, e); });
  is_misuse([&](tutti_error** e) { return tutti_lease_free(leased.lease, e); },
            "tutti_lease_free() was given a tutti_lease that was freed already");
  freed(ensemble);
}

TEST_CASE("leases that are wrong, too many, or used after their ensemble are refused and nothing waits for them") {
  tutti_ensemble* ensemble = started("slots: 3\n" + std::string(kYaml));
  Leased first(ensemble, 8);
  Leased second(ensemble, 1);
  tutti_lease* lease = nullptr;
  tutti_submit_options refuse = TUTTI_SUBMIT_OPTIONS_INIT;
  refuse.refuse_when_full = 1;
  CHECK(said([&](tutti_error** e) { return tutti_lease_create(ensemble, 1, &refuse, &lease, e); }).code ==
        TUTTI_QUEUE_FULL);
  CHECK(lease == nullptr);
  is_misuse([&](tutti_error** e) { return tutti_lease_create(ensemble, 9, nullptr, &lease, e); },
            "a lease of 9 samples does not fit into a slot");
  is_misuse([&](tutti_error** e) { return tutti_lease_create(ensemble, 1, nullptr, nullptr, e); },
            "tutti_lease_create() was given NULL for 'lease'");
  is_misuse([&](tutti_error** e) { return tutti_lease_create(nullptr, 1, nullptr, &lease, e); },
            "tutti_lease_create() was given NULL instead of a tutti_ensemble");
  is_misuse([&](tutti_error** e) { return tutti_lease_tensor(first.lease, 1, &first.tensor, e); },
            "tutti_lease_tensor() was asked for tensor 1 of 1");
  is_misuse([&](tutti_error** e) { return tutti_lease_tensor(first.lease, 0, nullptr, e); },
            "tutti_lease_tensor() was given NULL for 'tensor'");
  is_misuse([&](tutti_error** e) { return tutti_lease_tensor_count(first.lease, nullptr, e); },
            "tutti_lease_tensor_count() was given NULL for 'count'");
  is_misuse([&](tutti_error** e) { return tutti_submit_lease(ensemble, first.lease, nullptr, nullptr, nullptr, e); },
            "tutti_submit_lease() was given NULL for 'done'");
  is_misuse([&](tutti_error** e) { return tutti_lease_free(reinterpret_cast<tutti_lease*>(ensemble), e); },
            "tutti_lease_free() was given a tutti_ensemble instead of a tutti_lease");
  freed(ensemble);
  *static_cast<float*>(first.tensor.data) = 1;  // it is there
  Waiting never;
  is_misuse(
      [&](tutti_error** e) { return tutti_submit_lease(ensemble, first.lease, nullptr, Waiting::done, &never, e); },
      "tutti_submit_lease() was given a tutti_ensemble that was freed already");
  for (tutti_lease* const left : {first.lease, second.lease})
    succeeds([&](tutti_error** e) { return tutti_lease_free(left, e); });
}

}  // namespace
}  // namespace tutti::test
