// What a program in C gets wrong: NULL, handles that are freed twice or of another type, the header of another version.
#include <limits>
#include <new>
#include <stdexcept>
#include <thread>

#include <tutti/submit.hpp>

#include "coordinator/c_api/guard.hpp"
#include "tests/c_api/calls.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {

const char* this_worker() { return test::kWorkerProgram; }

namespace {

TEST_CASE("the header of another major version or of a newer one is refused with both numbers") {
  const std::uint32_t newer_major = (TUTTI_ABI_MAJOR + 1) << 16;
  for (const std::uint32_t abi : {newer_major, TUTTI_ABI + 1, 0U}) {
    CAPTURE(abi);
    const Said checked = said([&](tutti_error** e) { return tutti_check_abi(abi, e); });
    CHECK(checked.code == TUTTI_USAGE);
    CHECK(checked.message == "the program was compiled with the tutti.h of another version");
    tutti_spec* spec = nullptr;
    CHECK(tutti_spec_load(abi, "none.yaml", nullptr, 0, &spec, nullptr) == TUTTI_USAGE);
    const Said parse =
        said([&](tutti_error** e) { return tutti_spec_parse(abi, kYaml, nullptr, nullptr, 0, &spec, e); });
    CHECK(parse.message == checked.message);
    CHECK(spec == nullptr);
  }
  CHECK(said([&](tutti_error** e) { return tutti_check_abi(newer_major, e); }).detail ==
        std::string("its interface is 2.0, and that of this library (Tutti ") + tutti_version() + ") is 1.3");
  succeeds([&](tutti_error** e) { return tutti_check_abi(TUTTI_ABI, e); });
  CHECK(tutti_abi() == TUTTI_ABI);
}

TEST_CASE("options of another size are refused") {
  tutti_spec* spec = parsed();
  tutti_ensemble* ensemble = nullptr;
  for (const std::size_t size : {std::size_t{0}, sizeof(tutti_options) - 8, sizeof(tutti_options) + 8}) {
    tutti_options options = TUTTI_OPTIONS_INIT;
    options.size = size;
    const Said result = said([&](tutti_error** e) { return tutti_ensemble_create(spec, &options, &ensemble, e); });
    CHECK(result.code == TUTTI_USAGE);
    CHECK(result.message == "tutti_ensemble_create() was given a tutti_options of another size");
    CHECK(result.hint == "begin with TUTTI_OPTIONS_INIT, and compile with the header of this library");
  }
  CHECK(tutti_spec_free(spec, nullptr) == TUTTI_OK);
}

TEST_CASE("NULL is an error that names the function and what is missing") {
  tutti_predictions* predictions = nullptr;
  const std::vector<float> pixels(18);
  const tutti_images images = images_of(pixels);
  is_misuse([&](tutti_error** e) { return tutti_predict_images(nullptr, &images, &predictions, e); },
            "tutti_predict_images() was given NULL instead of a tutti_ensemble");
  is_misuse([&](tutti_error** e) { return tutti_predict_images(nullptr, nullptr, &predictions, e); },
            "tutti_predict_images() was given NULL for 'images'");
  is_misuse([&](tutti_error** e) { return tutti_predict_images(nullptr, &images, nullptr, e); },
            "tutti_predict_images() was given NULL for 'predictions'");
  is_misuse([&](tutti_error** e) { return tutti_spec_parse(TUTTI_ABI, nullptr, nullptr, nullptr, 0, nullptr, e); },
            "tutti_spec_parse() was given NULL for 'yaml'");
  is_misuse([&](tutti_error** e) { return tutti_spec_load(TUTTI_ABI, nullptr, nullptr, 0, nullptr, e); },
            "tutti_spec_load() was given NULL for 'file'");
  is_misuse([&](tutti_error** e) { return tutti_submit_images(nullptr, &images, nullptr, nullptr, nullptr, e); },
            "tutti_submit_images() was given NULL for 'done'");
  is_misuse([&](tutti_error** e) { return tutti_stop_request(nullptr, e); },
            "tutti_stop_request() was given NULL instead of a tutti_stop");
  tutti_spec* spec = nullptr;
  const char* const overrides[] = {nullptr};
  is_misuse([&](tutti_error** e) { return tutti_spec_parse(TUTTI_ABI, kYaml, nullptr, overrides, 1, &spec, e); },
            "tutti_spec_parse() was given NULL for 'overrides'");
}

TEST_CASE("every function takes NULL for its error and every pointer without a crash") {
  CHECK(tutti_ensemble_create(nullptr, nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_ensemble_interrupt(nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_ensemble_drain(nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_ensemble_replace_member(nullptr, nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_ensemble_add_member(nullptr, nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_ensemble_remove_member(nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_ensemble_health(nullptr, nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_ensemble_status(nullptr, 0, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_spec_yaml(nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_predict_encoded(nullptr, nullptr, 1, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_predict_tensors(nullptr, nullptr, 1, 1, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_submit_encoded(nullptr, nullptr, 1, nullptr, nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_submit_tensors(nullptr, nullptr, 1, 1, nullptr, nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_predictions_values(nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_predictions_classes(nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_predictions_spread(nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_predictions_member_count(nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_predictions_member(nullptr, 0, nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_predictions_incomplete_count(nullptr, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_predictions_incomplete(nullptr, 0, nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_stop_create(nullptr, nullptr) == TUTTI_USAGE);
  CHECK(tutti_check_abi(0, nullptr) == TUTTI_USAGE);
}

TEST_CASE("freeing NULL does nothing") {
  CHECK(tutti_spec_free(nullptr, nullptr) == TUTTI_OK);
  CHECK(tutti_ensemble_free(nullptr, nullptr) == TUTTI_OK);
  CHECK(tutti_predictions_free(nullptr, nullptr) == TUTTI_OK);
  CHECK(tutti_text_free(nullptr, nullptr) == TUTTI_OK);
  CHECK(tutti_stop_free(nullptr, nullptr) == TUTTI_OK);
  CHECK(tutti_error_free(nullptr) == TUTTI_OK);
  CHECK(tutti_error_code(nullptr) == TUTTI_OK);
  CHECK(std::string(tutti_error_text(nullptr)).empty());
  CHECK(std::string(tutti_text_data(nullptr)).empty());
}

TEST_CASE("a handle that is freed twice or used afterwards is recognised however many came since") {
  tutti_spec* spec = parsed();
  CHECK(tutti_spec_free(spec, nullptr) == TUTTI_OK);
  for (int i = 0; i < 1000; ++i) CHECK(tutti_spec_free(parsed(), nullptr) == TUTTI_OK);
  is_misuse([&](tutti_error** e) { return tutti_spec_free(spec, e); },
            "tutti_spec_free() was given a tutti_spec that was freed already");
  tutti_ensemble* ensemble = nullptr;
  is_misuse([&](tutti_error** e) { return tutti_ensemble_create(spec, nullptr, &ensemble, e); },
            "tutti_ensemble_create() was given a tutti_spec that was freed already");
}

TEST_CASE("an error and a text that were freed say so") {
  tutti_error* error = nullptr;
  CHECK(tutti_check_abi(0, &error) == TUTTI_USAGE);
  CHECK(std::string(tutti_error_text(error)).find("\n  hint: ") != std::string::npos);
  CHECK(tutti_error_free(error) == TUTTI_OK);
  CHECK(tutti_error_free(error) == TUTTI_USAGE);
  CHECK(tutti_error_code(error) == TUTTI_USAGE);
  CHECK(std::string(tutti_error_message(error)) == "this is not a tutti_error, or it was freed already");
}

TEST_CASE("a handle of another type and a pointer to something else are recognised") {
  tutti_spec* spec = parsed();
  is_misuse([&](tutti_error** e) { return tutti_stop_free(reinterpret_cast<tutti_stop*>(spec), e); },
            "tutti_stop_free() was given a tutti_spec instead of a tutti_stop");
  int something = 0;
  for (void* other : {static_cast<void*>(&something), reinterpret_cast<void*>(std::uintptr_t{16}),
                      reinterpret_cast<void*>(std::numeric_limits<std::uintptr_t>::max()),
                      reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(spec) + (1U << 20)),
                      reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(spec) | 15U)})
    is_misuse([&](tutti_error** e) { return tutti_spec_free(static_cast<tutti_spec*>(other), e); },
              "tutti_spec_free() was given a pointer that is not from this library instead of a tutti_spec");
  CHECK(tutti_spec_free(spec, nullptr) == TUTTI_OK);
}

TEST_CASE("two threads that free the same handle cannot both do it") {
  for (int round = 0; round < 100; ++round) {
    tutti_spec* spec = parsed();
    tutti_code codes[2]{};
    std::thread other([&] { codes[1] = tutti_spec_free(spec, nullptr); });
    codes[0] = tutti_spec_free(spec, nullptr);
    other.join();
    CHECK((codes[0] == TUTTI_OK) != (codes[1] == TUTTI_OK));
  }
}

template <class Thrown>
Said thrown(const Thrown& what) {
  return said([&](tutti_error** e) { return c_api::guarded(e, "tutti_test", [&](const char*) { throw what; }); });
}

TEST_CASE("no exception leaves a function whatever is thrown in it") {
  CHECK(thrown(Error(ErrorKind::failed, "broken", "facts", "do")).code == TUTTI_FAILED);
  CHECK(thrown(Error(ErrorKind::failed, "broken", "facts", "do")).detail == "facts");
  CHECK(thrown(Error(ErrorKind::interrupted, "ended")).code == TUTTI_INTERRUPTED);
  CHECK(thrown(QueueFull(ErrorKind::failed, "full")).code == TUTTI_QUEUE_FULL);
  CHECK(thrown(std::runtime_error("odd")).message == "odd");
  CHECK(thrown(std::runtime_error("odd")).code == TUTTI_FAILED);
  CHECK(thrown(17).message == "something that is not a std::exception was thrown");
  CHECK(c_api::guarded(nullptr, "tutti_test", [](const char*) { throw 17; }) == TUTTI_FAILED);
}

TEST_CASE("without memory there is an error that needs none and that may be freed like any other") {
  CHECK(thrown(std::bad_alloc()).code == TUTTI_FAILED);
  CHECK(thrown(std::bad_alloc()).message == "out of memory");
}

TEST_CASE("mistakes in a description come as a list with their places") {
  tutti_spec* spec = nullptr;
  const Said result = said([&](tutti_error** e) {
    return tutti_spec_parse(TUTTI_ABI, "members: 3\nsegment_imags: 1\n", nullptr, nullptr, 0, &spec, e);
  });
  CHECK(result.code == TUTTI_USAGE);
  CHECK((result.message + result.detail).find("the given text:2:1") != std::string::npos);
  const Said none =
      said([&](tutti_error** e) { return tutti_spec_load(TUTTI_ABI, "/nowhere/x.yaml", nullptr, 0, &spec, e); });
  CHECK(none.code == TUTTI_USAGE);
  CHECK((none.message + none.detail).find("/nowhere/x.yaml") != std::string::npos);
  CHECK(spec == nullptr);
}

TEST_CASE("overrides and the folder reach the description") {
  tutti_spec* spec = nullptr;
  const char* const overrides[] = {"segment_images=7"};
  succeeds([&](tutti_error** e) { return tutti_spec_parse(TUTTI_ABI, kYaml, "/tmp", overrides, 1, &spec, e); });
  const char* yaml = nullptr;
  succeeds([&](tutti_error** e) { return tutti_spec_yaml(spec, &yaml, e); });
  CHECK(std::string(yaml).find("segment_images: 7") != std::string::npos);
  CHECK(tutti_spec_free(spec, nullptr) == TUTTI_OK);
}

}  // namespace
}  // namespace tutti::test
