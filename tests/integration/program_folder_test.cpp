// Runs over folders of images: what is read, the files next to the arrays, and the messages about broken files.
#include <doctest/doctest.h>

#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "tests/common/error_of.hpp"
#include "tests/integration/programs.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {
namespace {

namespace fs = std::filesystem;

const std::string kFolderRun = R"(
members:
  - {name: a, model: {kind: fake, classes: 3}}
  - {name: b, model: {kind: fake, classes: 3}, input: {resize: 8, crop: [6, 7], mean: 0.5, std: [0.2, 0.3, 0.4]}}
assignment: cpu
input: {dataset: folder, path: pets, resize: 12, decode_threads: 2}
segment_images: 3
batch_images: 2
output: out
)";

struct Pets : Workplace {
  explicit Pets(const std::string& yaml = kFolderRun) : Workplace(yaml) {
    for (const char* name :
         {"cat/1.jpg", "cat/2, grey.jpg", "dog/1.png", "dog/2.png", "dog/3.jpg", "emu/1.png", "emu/2.jpg"})
      put(name);
  }
  void put(const std::string& name) const {
    fs::create_directories((*this / ("pets/" + name)).parent_path());
    const bool png = name.ends_with("png");
    fs::copy_file(test::in_sources("tests/images/data/encoded") / (png ? "alpha.png" : "plain.jpg"),
                  *this / ("pets/" + name));
  }
};

TEST_CASE("the table of a run and of an evaluation has the columns of --csv") {
  const Pets place;
  const Finished run(place, {"run", "e.yaml", "--csv", "image=path,breed=label"});
  CAPTURE(run.err());
  CHECK(run.code == 0);
  const std::string table = place.read("out/predictions.csv");
  CHECK(table.starts_with("image,breed\ncat/1.jpg,"));
  CHECK(std::count(table.begin(), table.end(), ',') == 8 + 1);  // one is in the name of a file
  CHECK(Finished(place, {"evaluate", "e.yaml", "output=ev", "--csv", "number,classes"}).code == 0);
  CHECK(place.read("ev/predictions.csv").starts_with("number,cat,dog,emu\n0,"));
}

TEST_CASE("columns of --csv that cannot be are refused before anything is predicted") {
  const Pets place;
  const auto refusal = [&](std::vector<std::string> words) {
    const Finished run(place, std::move(words));
    CHECK(run.code == 2);
    CHECK_FALSE(place.has("out/predictions.npy"));
    return run.err();
  };
  CHECK(contains(refusal({"run", "e.yaml", "--csv", "id,breed"}), "--csv: there is no column 'breed'"));
  // cat/1.jpg and dog/1.png
  CHECK(contains(refusal({"run", "e.yaml", "--csv", "id,label"}), "--csv: two images would be called '1'"));
  CHECK(contains(refusal({"evaluate", "e.yaml", "--csv", "path,score:dgo"}), "did you mean 'dog'?"));
  const char* needs = "--csv needs predictions of one class per image, and these are not";
  CHECK(contains(refusal({"run", "e.yaml", "combine.rule=none", "--csv", "path,label"}), needs));
  CHECK(contains(refusal({"evaluate", "e.yaml", "combine.rule=none", "--csv", "path,label"}), needs));
  CHECK(contains(refusal({"run", "e.yaml", "combine.activation=sigmoid", "input.path=pets/cat", "--csv", "id,label"}),
                 needs));
}

TEST_CASE("saved predictions are combined into the tables that runs by these rules write with --csv") {
  const Pets place;
  const std::string columns = "image=path,breed=label,c=classes";
  REQUIRE(Finished(place, {"run", "e.yaml", "-q", "save_members=true"}).code == 0);
  REQUIRE(Finished(place, {"combine", "out", "-q", "-o", "c", "--rules", "mean,vote", "--csv", columns}).code == 0);
  for (const std::string rule : {"mean", "vote"}) {
    REQUIRE(Finished(place, {"run", "e.yaml", "-q", "combine.rule=" + rule, "output=" + rule, "--csv", columns}).code ==
            0);
    CHECK(place.read("c/" + rule + "/predictions.csv") == place.read(rule + "/predictions.csv"));
  }
  CHECK(place.read("c/mean/predictions.csv").starts_with("image,breed,ccat,cdog,cemu\ncat/1.jpg,"));

  const auto refusal = [&](const std::string& wanted) {
    const Finished combined(place, {"combine", "out", "-q", "-o", "refused", "--csv", wanted});
    CHECK(combined.code == 2);
    CHECK_FALSE(place.has("refused"));
    return combined.err();
  };
  CHECK(contains(refusal("id,breed"), "--csv: there is no column 'breed'"));
  CHECK(contains(refusal("id,label"), "--csv: two images would be called '1'"));
  CHECK(contains(refusal("path,score:dgo"), "did you mean 'dog'?"));
  fs::remove(place / "pets/emu/2.jpg");
  const std::string fewer = refusal("path,label");
  CHECK(contains(fewer, "--csv: the data set is not that of the run: it has 6 images now"));
  CHECK(contains(fewer, "the run predicted 7"));
  fs::remove_all(place / "pets");
  const std::string gone = refusal("path,label");
  CHECK(contains(gone, "--csv: the data set of the run cannot be opened: "));
  CHECK(contains(gone, "have it where this folder sees it, or leave --csv out"));
  CHECK(Finished(place, {"combine", "out", "-q", "-o", "without"}).code == 0);
  CHECK_FALSE(place.has("without/mean/predictions.csv"));
}

TEST_CASE("a folder of images is predicted and a table with names and classes is written") {
  const Pets place;
  const Finished run(place, {"run", "e.yaml"});
  CAPTURE(run.err());
  CHECK(run.code == 0);
  const std::string table = place.read("out/predictions.csv");
  CHECK(table.starts_with("file,label,class_1,score_1,class_2,score_2,class_3,score_3\ncat/1.jpg,cat,"));
  CHECK(contains(table, "\n\"cat/2, grey.jpg\",cat,"));
  CHECK(contains(table, "\nemu/2.jpg,emu,"));
  CHECK(std::count(table.begin(), table.end(), '\n') == 8);
  const json::value report = place.report("out");
  CHECK(report.at_pointer("/counts/images") == 7);
  CHECK(report.at_pointer("/counts/input_bytes_copied") == 7 * 3 * (12 * 12 + 6 * 7));
  CHECK(report.at("skipped").is_null());
  CHECK(report.at_pointer("/ensemble/accuracy").is_double());
  const Finished again(place, {"run", "e.yaml", "output=again", "input.decode_threads=1", "slots=1"});
  CHECK(again.code == 0);
  CHECK(different_results(place, "out", "again").empty());
}

TEST_CASE("classes that are named match the folders by name and name the columns of the table") {
  const Pets place;
  place.write("labels.json", R"({"id2label": {"0": "emu", "1": "bird", "2": "dog", "3": "cat"}})");
  const std::vector<std::string> wide{"members.0.model.classes=4", "members.1.model.classes=4"};
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"run", "e.yaml"});
    words.insert(words.end(), wide.begin(), wide.end());
    return Finished(place, words);
  };
  const Finished run = with({"classes=labels.json"});
  CAPTURE(run.err());
  CHECK(run.code == 0);
  CHECK_FALSE(contains(run.err(), "the accuracy may mean nothing"));
  const std::string table = place.read("out/predictions.csv");
  CHECK(contains(table, "\ncat/1.jpg,cat,"));
  CHECK(contains(table, "bird"));
  const Finished unnamed = with({"output=unnamed"});
  CHECK(unnamed.code == 0);
  CHECK(contains(unnamed.err(), "has 3 classes ('cat', ...), and 'a' outputs 4"));
  const Finished wrong = with({"output=wrong", "classes=[cat, dog, emu]"});
  CHECK(wrong.code == 2);
  CHECK(contains(wrong.err(), "'classes' names 3 classes, but member 'a' outputs 4"));
}

TEST_CASE("a run over a folder continues where it was and not over other images") {
  const Pets place;
  REQUIRE(Finished(place, {"run", "e.yaml", "output=right"}).code == 0);
  Program program(Workplace::command({"run", "e.yaml", "slots=1", "members.0.model.delay_ms=150"}), place.options());
  REQUIRE_FALSE(program.wait_for_line("predict   43 %").empty());
  program.signal(SIGKILL);
  REQUIRE(program.code() == 128 + SIGKILL);
  fs::copy(place / "out", place / "other", fs::copy_options::recursive);
  const Finished resumed(place, {"run", "e.yaml", "--resume"});
  CAPTURE(resumed.err());
  CHECK(resumed.code == 0);
  CHECK(different_results(place, "out", "right").empty());
  CHECK(place.read("out/predictions.csv") == place.read("right/predictions.csv"));
  place.put("emu/3.jpg");
  const Finished refused(place, {"run", "e.yaml", "--resume", "output=other"});
  CHECK(refused.code == 2);
  CHECK(contains(refused.err(), "folder pets: was 7 images in 3 classes"));
  fs::remove(place / "pets/emu/3.jpg");
  const Finished others(place, {"run", "e.yaml", "--resume", "output=other", "members.0.input={resize: [12, 12]}"});
  CHECK(others.code == 2);
  CHECK(contains(others.err(), "plane 0: was shorter side 12, centre 12x12, bicubic, now 12x12, bicubic"));
}

TEST_CASE("a broken image ends the run or is left out and listed") {
  const Pets place;
  place.write("pets/dog/0.jpg", "no image");
  const Finished failed(place, {"run", "e.yaml"});
  CHECK(failed.code == 2);
  CHECK(contains(failed.err(), "pets/dog/0.jpg cannot be decoded"));
  CHECK(contains(failed.err(), "on_broken: skip"));
  const Finished skipped(place, {"run", "e.yaml", "input.on_broken=skip", "output=skipped"});
  CAPTURE(skipped.err());
  CHECK(skipped.code == 0);
  CHECK(contains(skipped.err(), "left out 1 file of folder pets that cannot be read or decoded"));
  const json::value report = place.report("skipped");
  CHECK(report.at_pointer("/skipped/count") == 1);
  CHECK(report.at_pointer("/skipped/first/0") == "dog/0.jpg: it is not a JPEG, PNG, WebP, TIFF or BMP");
  CHECK(report.at_pointer("/counts/images") == 7);
  CHECK_FALSE(contains(place.read("skipped/predictions.csv"), "dog/0.jpg"));
  const Finished plan(place, {"plan", "e.yaml", "input.on_broken=skip"});
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "input    7 x 3x12x12 of folder"));
  CHECK(contains(plan.err(),
                 "left out 1 file of folder pets that cannot be read or decoded, as 'on_broken: skip' says; the first: "
                 "dog/0.jpg: it is not a JPEG, PNG, WebP, TIFF or BMP\n"));
}

TEST_CASE("a run that met a broken image is started again once the image is fixed") {
  const Pets place;
  place.write("pets/emu/1.png", "no image");
  const Finished failed(place, {"run", "e.yaml", "slots=1"});
  CHECK(failed.code == 2);
  CHECK(contains(failed.err(), "pets/emu/1.png cannot be decoded"));
  CHECK(contains(failed.err(),
                 "\n        finished 1 of 3 segments; if you can fix this without changing the description, the images "
                 "or the weights, continue with: "));
  CHECK(contains(failed.err(), "--resume; otherwise remove out/journal and run again\n"));
  fs::remove(place / "pets/emu/1.png");
  place.put("emu/1.png");
  const Finished resumed(place, {"run", "e.yaml", "--resume"});
  CHECK(resumed.code == 2);
  CHECK(contains(resumed.err(), "remove out/journal to start again"));
  fs::remove(place / "out/journal");
  CHECK(Finished(place, {"run", "e.yaml"}).code == 0);
}

TEST_CASE("classes beyond those of the models are found before the first segment") {
  const Pets place;
  const Finished run(place, {"run", "e.yaml", "members.1.model.classes=2", "combine.rule=none"});
  CHECK(run.code == 2);
  CHECK(contains(run.err(),
                 "tutti: the images of folder pets have 3 classes, but 'b' outputs 2\n  hint: give images "
                 "whose labels are classes of the models\n"));
  CHECK_FALSE(place.has("out"));
  CHECK_FALSE(contains(run.err(), "--resume"));
}

TEST_CASE("an output that is not finite names the file of its image") {
  const Pets place;
  const std::string fault = "members.0.model.faults=[{kind: nan, phase: predict, at_batch: 2}]";
  const Finished run(place, {"run", "e.yaml", fault, "members.0.model.delay_ms=0", "slots=1"});
  CHECK(run.code == 1);
  CHECK(contains(run.err(), "a on cpu predicted NaN or infinity on segment 1"));
  CHECK(contains(run.err(), "of the segment: dog/"));
  const Finished skipping(place, {"run", "e.yaml", fault, "input.skip=3", "output=skipping", "slots=1"});
  CHECK(skipping.code == 1);
  CHECK(contains(skipping.err(), "of the segment: emu/"));
}

TEST_CASE("the plan of a folder counts its images and its bytes") {
  const Pets place;
  place.write("pets/dog/notes.txt", "no image");
  const Finished plan(place, {"plan", "e.yaml"});
  CHECK(plan.code == 0);
  CHECK(contains(plan.out(), "input    7 x 3x12x12 of folder in segments of 3"));
  CHECK(contains(plan.out(), "images 3x12x12 as bytes and 3x6x7 as bytes"));
  CHECK(contains(plan.out(),
                 "\n2 planes of each picture, which is decoded once\n"
                 "     16.4 kB  3x12x12 in all slots: shorter side 12, centre 12x12, bicubic; for a\n"
                 "     16.4 kB  3x6x7 in all slots: shorter side 8, centre 6x7, bicubic; for b\n"));
  CHECK(contains(plan.out(), "decoding: 2 threads x 48.8 MB (estimate: images of 12 million pixels)"));
  CHECK(contains(plan.out(), "images prepared for b: 2 x 3x6x7"));
  const std::string stages = "[{model: {kind: fake, classes: 3}}, {model: {kind: fake, classes: 3}}]";
  const Finished staged(place, {"plan", "e.yaml", "members.0={name: a, stages: " + stages + "}"});
  CHECK(contains(staged.out(), "centre 12x12, bicubic; for a/0\n"));  // the second takes what the first outputs
  const std::string remark = "folder pets: left out 1 file not called like images";
  CHECK(contains(plan.err(), remark));
  CHECK(contains(Finished(place, {"run", "e.yaml"}).err(), remark));
}

}  // namespace
}  // namespace tutti::test
