// The cache of choices: what it keeps, what it depends on, and files that are no use.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "common/atomic_file.hpp"
#include "config/load.hpp"
#include "coordinator/plan/choice_cache.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/onnx_message.hpp"
#include "tests/common/temporary_folder.hpp"

namespace tutti::test {
namespace {

KeptChoice some_choice() {
  KeptChoice choice;
  choice.candidates = {
      {{.model = "a", .backend = "x 1", .batch_images = 4, .images_per_second = 10.5, .difference = 0.0},
       {.model = "b", .reason = "it is slower"}},
      {}};
  choice.modes = {{}, {{.model = "loop", .backend = "x 1", .images_per_second = 3}}};
  choice.batches = {4, 8};
  return choice;
}

/// The only file in a folder.
std::filesystem::path only_file(const std::filesystem::path& folder) {
  std::filesystem::path found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) found = entry.path();
  return found;
}

std::string text_of(const std::filesystem::path& file) { return read_text(file, "a test"); }

void replace_in(const std::filesystem::path& file, const std::string& what, const std::string& with) {
  std::string text = text_of(file);
  const std::size_t at = text.find(what);
  REQUIRE(at != text.npos);
  std::ofstream(file) << text.replace(at, what.size(), with);
}

TEST_CASE("a choice that was kept is found again by its key and no other") {
  const TemporaryFolder folder;
  const auto below = folder / "tutti" / "choices";
  CHECK_FALSE(kept_choice(below, "key"));
  keep_choice(below, "key", some_choice());
  CHECK(kept_choice(below, "key") == some_choice());
  CHECK_FALSE(kept_choice(below, "other"));
  keep_choice(below, "other", {});
  CHECK(kept_choice(below, "key") == some_choice());
  CHECK(kept_choice(below, "other") == KeptChoice{});
}

TEST_CASE("a difference that no number says comes back as one") {
  const TemporaryFolder folder;
  KeptChoice choice = some_choice();
  choice.candidates[0][1].difference = INFINITY;
  keep_choice(folder.path(), "key", choice);
  CHECK(kept_choice(folder.path(), "key") == choice);
}

TEST_CASE("a damaged file is as good as none") {
  const TemporaryFolder folder;
  keep_choice(folder.path(), "key", some_choice());
  const auto file = only_file(folder.path());
  const std::string whole = text_of(file);
  for (const std::string& damaged :
       {std::string(), whole.substr(0, whole.size() / 2), std::string("[]"), std::string("{\"form\": 3}")}) {
    std::ofstream(file) << damaged;
    CHECK_FALSE(kept_choice(folder.path(), "key"));
  }
  std::ofstream(file) << whole;
  replace_in(file, "tutti.choice/3", "tutti.choice/9");
  CHECK_FALSE(kept_choice(folder.path(), "key"));
  // The next choice takes its place.
  keep_choice(folder.path(), "key", some_choice());
  CHECK(kept_choice(folder.path(), "key") == some_choice());
}

TEST_CASE("a file of the same name that answers another question is not used") {
  const TemporaryFolder folder;
  keep_choice(folder.path(), "key", some_choice());
  replace_in(only_file(folder.path()), "\"key\": \"key\"", "\"key\": \"kex\"");
  CHECK_FALSE(kept_choice(folder.path(), "key"));
}

TEST_CASE("a choice is not used after its time and its file is removed by the next one") {
  const TemporaryFolder folder;
  keep_choice(folder.path(), "key", some_choice());
  const auto file = only_file(folder.path());
  const std::time_t long_ago = std::time(nullptr) - std::chrono::seconds(kChoiceLife).count() - 10;
  std::string text = text_of(file);
  const std::size_t at = text.find("\"written\": ") + 11;
  std::ofstream(file) << text.replace(at, text.find(',', at) - at, std::to_string(long_ago));
  CHECK_FALSE(kept_choice(folder.path(), "key"));
  const auto then = std::filesystem::file_time_type::clock::now() - kChoiceLife - std::chrono::seconds(10);
  std::filesystem::last_write_time(file, then);
  std::ofstream(folder / "other.txt") << "not ours";
  std::filesystem::last_write_time(folder / "other.txt", then);
  keep_choice(folder.path(), "another", some_choice());
  CHECK_FALSE(std::filesystem::exists(file));
  CHECK(std::filesystem::exists(folder / "other.txt"));
}

TEST_CASE("a folder that cannot be written is no error and nothing is kept") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "in the way";
  keep_choice(folder / "file" / "choices", "key", some_choice());
  CHECK_FALSE(kept_choice(folder / "file" / "choices", "key"));
  keep_choice({}, "key", some_choice());
  CHECK_FALSE(kept_choice({}, "key"));
}

TEST_CASE("the folder of the cache follows the usual variables") {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  const std::string old_cache = cache == nullptr ? "" : cache;
  const std::string old_home = home == nullptr ? "" : home;
  ::setenv("XDG_CACHE_HOME", "/x", 1);
  ::setenv("HOME", "/h", 1);
  CHECK(choice_folder() == "/x/tutti/choices");
  ::setenv("XDG_CACHE_HOME", "not/absolute", 1);  // the standard says to ignore it
  CHECK(choice_folder() == "/h/.cache/tutti/choices");
  ::unsetenv("XDG_CACHE_HOME");
  CHECK(choice_folder() == "/h/.cache/tutti/choices");
  ::unsetenv("HOME");
  CHECK(choice_folder().empty());
  if (cache != nullptr) ::setenv("XDG_CACHE_HOME", old_cache.c_str(), 1);
  if (home != nullptr) ::setenv("HOME", old_home.c_str(), 1);
}

/// The key of an mlp whose library is open.
struct Question {
  std::string more = "segment_images: 100\n";
  std::string input = "{shape: [3, 2, 2]}";
  std::string weights{};
  Options options{};

  std::string key() const {
    const std::string file = weights.empty() ? "" : ", weights: " + weights;
    const auto spec = config::load_text("members: [{name: a, model: {kind: mlp, layers: [3], backend: auto" + file +
                                            "}}]\nassignment: cpu\ninput: " + input + "\n" + more,
                                        "e.yaml");
    Machine machine;
    machine.cores = {0, 1};
    machine.memory.bytes = std::uint64_t{1} << 40;
    return choice_key(spec, make_plan(spec, machine, input_form(spec, spec.input), options), options);
  }
};

TEST_CASE("the key depends on what a speed and an output depend on and on nothing else") {
  const std::string key = Question{}.key();
  CHECK(Question{}.key() == key);
  CHECK(Question{.more = "segment_images: 100\noutput: there\n"}.key() == key);
  CHECK(Question{.more = "segment_images: 100\non_worker_failure: fail\n"}.key() == key);
  CHECK(Question{.more = "segment_images: 50\n"}.key() != key);
  CHECK(Question{.more = "segment_images: 100\nbatch_images: 4\n"}.key() != key);
  CHECK(Question{.more = "segment_images: 100\nbatch_images: auto\n"}.key() != key);
  CHECK(Question{.more = "segment_images: 100\nthreads: 1\n"}.key() != key);
  CHECK(Question{.input = "{shape: [3, 2, 4]}"}.key() != key);
}

TEST_CASE("the key has the content of the weights and the files of the libraries") {
  const TemporaryFolder folder;
  Question question{.weights = (folder / "w.safetensors").string()};
  std::ofstream(folder / "w.safetensors") << "one";
  const std::string one = question.key();
  std::ofstream(folder / "w.safetensors") << "two";
  CHECK(question.key() != one);

  std::filesystem::create_directory(folder / "capi");
  question = {};
  question.options.environment = {{"TUTTI_ONNXRUNTIME", folder.path().string()}};
  const std::string without = question.key();
  std::ofstream(folder / "capi" / "libonnxruntime.so.1.2.3") << "x";
  const std::string with = question.key();
  CHECK(with != without);
  std::ofstream(folder / "capi" / "libonnxruntime.so.1.2.3") << "another";
  CHECK(question.key() != with);
  for (const char* const below : {"onnxruntime/capi", "openvino/libs", "runtime/lib/intel64"}) {
    const std::string before = question.key();
    std::filesystem::create_directories(folder / below);
    std::ofstream(folder / below / "libany.so") << "x";
    CHECK_MESSAGE(question.key() != before, below);
  }
}

TEST_CASE("the key has the variables by which libraries choose their kernels and every folder of a list") {
  const std::string plain = Question{}.key();
  Question question;
  question.options.environment = {{"ONEDNN_MAX_CPU_ISA", "AVX2"}};
  const std::string set = question.key();
  CHECK(set != plain);
  question.options.environment = {{"ONEDNN_MAX_CPU_ISA", "SSE41"}};
  CHECK(question.key() != set);

  const TemporaryFolder one;
  const TemporaryFolder two;
  question.options.environment = {{"LD_LIBRARY_PATH", one.path().string() + "::" + two.path().string()}};
  const std::string before = question.key();
  std::ofstream(two / "libopenvino_c.so") << "x";
  CHECK(question.key() != before);
}

TEST_CASE("the key has the files beside an ONNX model that hold its weights") {
  const TemporaryFolder folder;
  std::ofstream(folder / "m.onnx", std::ios::binary) << onnx_model("any.name");
  const auto key = [&] {
    const auto spec =
        config::load_text("members: [{name: a, model: {kind: auto, files: [" + (folder / "m.onnx").string() +
                              "]}}]\nassignment: cpu\ninput: {shape: [3, 2, 2]}\n",
                          "e.yaml");
    Machine machine;
    machine.cores = {0, 1};
    machine.memory.bytes = std::uint64_t{1} << 40;
    return choice_key(spec, make_plan(spec, machine, input_form(spec, spec.input), {}), {});
  };
  const std::string before = key();
  std::ofstream(folder / "other.data") << "y";
  CHECK(key() == before);
  std::ofstream(folder / "any.name") << "y";
  const std::string with = key();
  CHECK(with != before);
  std::ofstream(folder / "any.name") << "z";
  CHECK(key() != with);
}

TEST_CASE("weights that cannot be read are an error of the key") {
  const auto error = error_of([] { Question{.weights = "/nowhere/w.safetensors"}.key(); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a: could not read '/nowhere/w.safetensors'");
  CHECK(error->hint() == "check that it is a file and that this user may read it");
}

}  // namespace
}  // namespace tutti::test
