// The program's command merge: its files, its messages and its errors.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstring>
#include <fstream>
#include <span>

#include "common/checksum.hpp"
#include "merge/checkpoint.hpp"
#include "tests/common/error_of.hpp"
#include "tests/integration/biases.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {
namespace {

/// Fakes that predict the same class for every image: the one with their highest bias.
const std::string kFakes = R"(
members:
  - {name: a, model: {kind: fake, classes: 2, reads_input: false, weights: a.st}}
  - {name: b, model: {kind: fake, classes: 2, reads_input: false, weights: b.st}}
  - {name: c, model: {kind: fake, classes: 2, reads_input: false, weights: c.st}}
assignment: cpu
input: {dataset: random, count: 60, shape: [1, 2, 2], classes: 2, seed: 3}
segment_images: 20
)";

struct MergePlace : Workplace {
  explicit MergePlace(const std::string& rest) : Workplace(kFakes + rest) {
    write_bias(*this / "a.st", {1, 0});
    write_bias(*this / "b.st", {0, 0.5F});
    write_bias(*this / "c.st", {0, 3});
  }
  json::value merge_report(const std::string& folder = "runs/0001") const {
    return parse_json(read(folder + "/merge.json"), "the report");
  }
};

json::value checksum(const std::string& bytes) {
  return json::string(fmt::format("{:08x}", crc32(std::as_bytes(std::span(bytes.data(), bytes.size())))));
}

TEST_CASE("merge writes the average and a report into a fresh numbered folder") {
  const MergePlace place("merge: {method: weighted, over: [a, c], weights: [3, 1]}\n");
  const Finished first(place, {"merge", "e.yaml"});
  CHECK(first.code == 0);
  CHECK(contains(first.out(), "weighted of 2 checkpoints: 1 tensor, 2 values"));
  CHECK(contains(first.out(), "merged: runs/0001/merged.safetensors\nreport: runs/0001/merge.json\n"));
  CHECK(contains(first.err(), "merge  100 %  16 B of 16 B  "));
  CHECK_FALSE(contains(first.err() + first.out(), "GB"));
  CHECK(bias_of(place / "runs/0001/merged.safetensors") == std::vector<float>{0.75F, 0.75F});
  const auto metadata = merge::Safetensors::read(place / "runs/0001/merged.safetensors").metadata();
  CHECK(metadata == std::map<std::string, std::string>{{"format", "pt"}, {"tutti.merge", "weighted of a, c"}});

  const json::value report = place.merge_report();
  CHECK(report.at("schema") == "tutti.merge/1");
  CHECK(report.at("method") == "weighted");
  CHECK(report.at("parameters") ==
        json::value{{"weights", {3.0, 1.0}}, {"normalize", true}, {"accumulate", "float32"}});
  CHECK(report.at("inputs").as_array().size() == 2);
  const json::value& input = report.at("inputs").at(1);
  CHECK(input.at("name") == "c");
  CHECK(input.at("factor") == 0.25);
  CHECK(input.at("files").at(0).at("path") == "c.st");
  CHECK(input.at("files").at(0).at("bytes") == std::filesystem::file_size(place / "c.st"));
  CHECK(input.at("files").at(0).at("crc32") == checksum(place.read("c.st")));
  CHECK(report.at("result").at("crc32") == checksum(place.read("runs/0001/merged.safetensors")));
  CHECK(report.at("result").at("values") == 2);
  CHECK(report.at("notes").as_array().empty());
  CHECK(contains(report.at("configuration").as_string(), "method: weighted"));

  const Finished second(place, {"merge", "e.yaml", "--quiet"});
  CHECK(second.code == 0);
  CHECK(second.out().empty());
  CHECK(second.err().empty());
  CHECK(place.read("runs/0002/merged.safetensors") == place.read("runs/0001/merged.safetensors"));
}

TEST_CASE("merge with a base adds task vectors") {
  const MergePlace place(
      "base: {kind: fake, classes: 2, weights: base.st}\nmerge: {method: task_arithmetic, scaling: 0.5}\n");
  write_bias(place / "base.st", {1, 1});
  CHECK(Finished(place, {"merge", "e.yaml", "output=out"}).code == 0);
  CHECK(bias_of(place / "out/merged.safetensors") == std::vector<float>{0, 1.25F});
  CHECK(place.merge_report("out").at("base").at("path") == "base.st");
}

TEST_CASE("folders of Hugging Face become a folder with the other files next to the weights") {
  MergePlace place("merge: {over: [0, 1]}\n");
  for (const char* name : {"first", "second"}) {
    std::filesystem::create_directory(place / name);
    std::filesystem::rename(place / (name == std::string("first") ? "a.st" : "b.st"),
                            place / (std::string(name) + "/model.safetensors"));
  }
  place.write("first/config.json", "{\"of\": \"first\"}");
  place.write("second/config.json", "{\"of\": \"second\"}");
  const Finished merged(place, {"merge", "e.yaml", "members.0.model.weights=first", "members.1.model.weights=second"});
  CHECK(merged.code == 0);
  CHECK(contains(merged.out(), "merged: runs/0001/merged\n"));
  CHECK(bias_of(place / "runs/0001/merged/model.safetensors") == std::vector<float>{0.5F, 0.25F});
  CHECK(place.read("runs/0001/merged/config.json") == "{\"of\": \"first\"}");
  CHECK_FALSE(place.has("runs/0001/merged/preprocessor_config.json"));
  CHECK(merge::Checkpoint::open(place / "runs/0001/merged").names() == std::vector<std::string>{"bias"});
}

TEST_CASE("what cannot be merged is refused before a folder is made") {
  const MergePlace place("");
  const Finished nothing(place, {"merge", "e.yaml"});
  CHECK(nothing.code == 2);
  CHECK(nothing.err() == "tutti: e.yaml does not say what to merge\n  hint: add merge: {method: average}\n");
  write_bias(place / "c.st", {1, 2, 3});
  const Finished shapes(place, {"merge", "e.yaml", "merge={method: average}"});
  CHECK(shapes.code == 2);
  CHECK(contains(shapes.err(), "cannot merge the checkpoints: they do not have the same architecture"));
  CHECK(contains(shapes.err(), "c has 1 tensor of another shape: bias [3] instead of [2]"));
  std::filesystem::remove(place / "a.st");
  const Finished missing(place, {"merge", "e.yaml", "merge={method: average}"});
  CHECK(missing.code == 2);
  CHECK(contains(missing.err(), "cannot read the weights a.st"));
  CHECK_FALSE(place.has("runs"));
}

TEST_CASE("weights that are being merged are not replaced") {
  const MergePlace place("merge: {over: [a, b]}\n");
  std::filesystem::create_directory(place / "out");
  std::filesystem::rename(place / "a.st", place / "out/merged.safetensors");
  const Finished merged(place, {"merge", "e.yaml", "output=out", "members.0.model.weights=out/merged.safetensors"});
  CHECK(merged.code == 2);
  CHECK(merged.err() ==
        "tutti: the merged weights would replace those of a\n  detail: out/merged.safetensors\n  hint: choose another "
        "folder with 'output'\n");
  CHECK(bias_of(place / "out/merged.safetensors") == std::vector<float>{1, 0});
}

TEST_CASE("warnings are printed and are in the report") {
  const MergePlace place("merge: {over: [a, b]}\n");
  for (const char* name : {"a.st", "b.st"}) {
    const float mean = 1;
    const merge::TensorView view{"bn.running_mean", merge::Dtype::f32, {}, std::as_bytes(std::span(&mean, 1))};
    merge::write_safetensors(place / name, std::span(&view, 1));
  }
  const Finished merged(place, {"merge", "e.yaml"});
  CHECK(merged.code == 0);
  CHECK(contains(merged.err(), "the merged model has averaged BatchNorm statistics (1 tensor)"));
  CHECK(contains(place.merge_report().at("notes").at(0).as_string(), "BatchNorm"));
}

TEST_CASE("a greedy soup measures members and candidates in the pool") {
  // a predicts class 0 and so does the average of a and b; with c it would be class 1.
  const MergePlace place(
      "merge: {method: greedy_soup, input: {dataset: random, count: 61, shape: [1, 2, 2], classes: 2, "
      "seed: 2}}\n");
  const Finished cooked(place, {"merge", "e.yaml"});
  CAPTURE(cooked.err());
  REQUIRE(cooked.code == 0);
  const json::value report = place.merge_report();
  const json::value& soup = report.at("soup");
  CHECK(soup.at("order").at(0).at("name") == "a");
  const double of_a = soup.at("order").at(0).at("accuracy").as_double();
  const double of_c = soup.at("order").at(2).at("accuracy").as_double();
  CHECK(of_a == doctest::Approx(36.0 / 61));
  CHECK(of_c == doctest::Approx(25.0 / 61));
  CHECK(soup.at("steps").at(1) == json::value{{"name", "b"}, {"accuracy", of_a}, {"added", true}});
  CHECK(soup.at("steps").at(2) == json::value{{"name", "c"}, {"accuracy", of_c}, {"added", false}});
  CHECK(soup.at("chosen") == json::value{"a", "b"});
  CHECK(soup.at("accuracy") == of_a);
  CHECK(bias_of(place / "runs/0001/merged.safetensors") == std::vector<float>{0.5F, 0.25F});
  CHECK(
      contains(cooked.out(), "b             added     accuracy  59.02 %\nc             left out  accuracy  40.98 %\n"));
  CHECK(soup.at("steps").as_array().size() == 3);
  CHECK(contains(cooked.out(), "greedy_soup of "));
  // Nothing but the results is left.
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(place / "runs/0001")) files += entry.exists() ? 1 : 0;
  CHECK(files == 2);
}

TEST_CASE("the images of a soup are prepared by those that are merged and not by other members") {
  // The fakes read the images here, so that their preparation decides.
  MergePlace place(
      "merge: {method: greedy_soup, over: [a, b], input: {dataset: random, count: 61, shape: [1, 2, 2], classes: 2, "
      "preprocess: {mean: [0.5], std: [0.001]}}}\n");
  std::string yaml = place.read("e.yaml");
  for (std::size_t at = 0; (at = yaml.find("reads_input: false, ", at)) != yaml.npos;) yaml.erase(at, 20);
  place.write("e.yaml", yaml);
  REQUIRE(Finished(place, {"merge", "e.yaml"}).code == 0);
  const Finished beside(place, {"merge", "e.yaml", "members.2.input={mean: [0.5], std: [0.5]}"});
  CAPTURE(beside.err());
  REQUIRE(beside.code == 0);
  CHECK(place.merge_report("runs/0002").at("soup") == place.merge_report("runs/0001").at("soup"));
  // What is merged has its own input instead of `preprocess`.
  REQUIRE(Finished(place, {"merge", "e.yaml", "members.0.input={mean: [0.5], std: [9]}",
                           "members.1.input={mean: [0.5], std: [9]}"})
              .code == 0);
  CHECK(place.merge_report("runs/0003").at("soup") != place.merge_report("runs/0001").at("soup"));
}

TEST_CASE("a soup that fails removes nothing of an earlier evaluation") {
  const MergePlace place(
      "merge: {method: greedy_soup, input: {dataset: random, count: 61, shape: [1, 2, 2], classes: 2, seed: 2}}\n"
      "tasks: [{name: t, input: {dataset: random, count: 30, shape: [1, 2, 2], classes: 2}}]\noutput: out\n");
  REQUIRE(Finished(place, {"merge", "e.yaml"}).code == 0);
  const std::string report = place.read("out/report.json");
  const Finished failed(
      place, {"merge", "e.yaml", "on_worker_failure=fail", "members.2.model.faults=[{kind: kill, phase: load}]"});
  CHECK(failed.code == 1);
  CHECK(place.read("out/report.json") == report);
  CHECK(place.has("out/tasks/t/disagreement.npy"));
}

TEST_CASE("a greedy soup without images or labels is refused before a folder is made") {
  const MergePlace place(
      "merge: {method: greedy_soup, input: {dataset: random, count: 0, shape: [1, 2, 2], classes: 2}}\n");
  const Finished cooked(place, {"merge", "e.yaml"});
  CHECK(cooked.code == 2);
  CHECK(contains(cooked.err(), "the held-out images of 'merge': there are none"));
  const Finished unlabelled(place, {"merge", "e.yaml", "merge.input.count=9", "merge.input.classes=null"});
  CHECK(unlabelled.code == 2);
  CHECK(contains(unlabelled.err(), "the held-out images of 'merge' have no labels"));
  CHECK_FALSE(place.has("runs"));
}

TEST_CASE("an interrupted soup ends with code 130 and leaves no weights") {
  const MergePlace place(
      "merge: {method: greedy_soup, input: {dataset: random, count: 100000, shape: [1, 2, 2], classes: 2}}\n"
      "drain_deadline_s: 1\n");
  std::string yaml = place.read("e.yaml");
  for (std::size_t at = 0; (at = yaml.find("reads_input: false,", at)) != yaml.npos; ++at)
    yaml.replace(at, 19, "delay_ms: 20,");
  place.write("e.yaml", yaml);
  Program program(Workplace::command({"merge", "e.yaml"}), place.options());
  CHECK_FALSE(program.wait_for_line("members").empty());
  program.signal(SIGINT);
  CHECK(program.code() == 130);
  CHECK(contains(program.err(), "tutti: interrupted\n  detail: nothing was written\n"));
  CHECK_FALSE(place.has("runs/0001"));
}

TEST_CASE("a soup whose workers are still starting ends at once and leaves no folder") {
  adopt_orphans();
  const MergePlace place(
      "merge: {method: greedy_soup, input: {dataset: random, count: 10, shape: [1, 2, 2], classes: 2}}\n");
  Program program(Workplace::command({"merge", "e.yaml", "members.0.model.load_delay_ms=3000000"}), place.options());
  std::vector<int> workers;
  REQUIRE(happens([&] {
    workers = children_of(program.pid());
    return workers.size() == 3;
  }));
  program.signal(SIGTERM);
  CHECK(program.code() == 143);
  CHECK(contains(program.err(), "tutti: interrupted\n  detail: nothing was written\n"));
  CHECK_FALSE(place.has("runs/0001"));
  for (const int worker : workers) {
    CHECK(ends(worker));
    ::waitpid(worker, nullptr, 0);  // the test has adopted it
  }
}

/// A checkpoint of this many zeros, which takes no space on the disk.
void write_zeros(const std::filesystem::path& file, std::uint64_t values) {
  std::string header =
      fmt::format(R"({{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}})", values, 4 * values);
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = header.size();
  std::ofstream(file, std::ios::binary) << std::string(reinterpret_cast<const char*>(&length), sizeof length) << header;
  std::filesystem::resize_file(file, sizeof length + header.size() + 4 * values);
}

/// A merge that passes five times over two files of 512 MB.
struct LongMerge : MergePlace {
  LongMerge()
      : MergePlace(
            "base: {kind: fake, classes: 2, weights: a.st}\n"
            "merge: {method: ties, over: [a, b], accumulate: float64}\n") {
    for (const char* name : {"a.st", "b.st"}) write_zeros(*this / name, std::uint64_t{1} << 27);
  }
};

TEST_CASE("a merge that is interrupted stops and says that nothing was written and leaves no folder") {
  const LongMerge place;
  Program program(Workplace::command({"merge", "e.yaml"}), place.options());
  REQUIRE_FALSE(program.wait_for_line("merge   10 %").empty());
  program.signal(SIGINT);
  CHECK(program.code() == 130);
  CHECK(contains(program.err(), "tutti: interrupted\n  detail: nothing was written\n"));
  CHECK_FALSE(contains(program.err(), "merge   80 %"));
  CHECK(program.out().empty());
  CHECK(place.has("runs"));
  CHECK_FALSE(place.has("runs/0001"));
}

TEST_CASE("a merge that is interrupted leaves what an earlier one wrote as it was") {
  LongMerge place;
  for (const char* name : {"first", "second"}) {
    std::filesystem::create_directory(place / name);
    std::filesystem::rename(place / (name == std::string("first") ? "a.st" : "b.st"),
                            place / (std::string(name) + "/model.safetensors"));
  }
  place.write("first/config.json", "of now");
  std::filesystem::create_directories(place / "out/merged");
  for (const char* file : {"out/merged/model.safetensors", "out/merged/config.json", "out/merge.json"})
    place.write(file, "of then");
  Program program(Workplace::command({"merge", "e.yaml", "output=out", "members.0.model.weights=first",
                                      "members.1.model.weights=second", "base.weights=first"}),
                  place.options());
  REQUIRE_FALSE(program.wait_for_line("merge   10 %").empty());
  program.signal(SIGHUP);
  CHECK(program.code() == 129);
  for (const char* file : {"out/merged/model.safetensors", "out/merged/config.json", "out/merge.json"})
    CHECK(place.read(file) == "of then");
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(place / "out"))
    files += entry.is_directory() ? 0 : 1;
  CHECK(files == 3);
}

TEST_CASE("a merge that fails leaves no folder that it made") {
  const MergePlace place("merge: {over: [a, b]}\n");
  ProgramOptions options = place.options();
  options.file_limit = 16;
  const Finished full({"merge", "e.yaml"}, options);
  CHECK(full.code == 1);
  CHECK(contains(full.err(), "tutti: could not write runs/0001/merged.safetensors"));
  CHECK_FALSE(place.has("runs/0001"));
}

}  // namespace
}  // namespace tutti::test
