// The kinds of models: their names, their facts, and what derives from their descriptions.
#include "common/wire/model_kinds.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <set>

#include "common/wire/control.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/common/wire/every_model.hpp"

namespace tutti::test {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("every kind of model has the name that it has in YAML") {
  CHECK(kind_name(SmallCnnModel{}) == "small-cnn");
  CHECK(kind_name(MlpModel{}) == "mlp");
  CHECK(kind_name(TorchScriptModel{}) == "torchscript");
  CHECK(kind_name(AotiModel{}) == "aoti");
  CHECK(kind_name(OnnxFileModel{}) == "onnx");
  CHECK(kind_name(PythonModel{}) == "python");
  CHECK(kind_name(ClipVitModel{}) == "clip-vit");
  CHECK(kind_name(SavedModel{}) == "saved");
  CHECK(kind_name(FakeModel{}) == "fake");
  for (const ModelKind& kind : every_kind()) {
    const auto found = kind_called(kind_name(kind));
    REQUIRE(found);
    CHECK(*found == kind);
  }
  CHECK_FALSE(kind_called("big-cnn"));
}

TEST_CASE("no two kinds have one name and no two fields of a kind one key") {
  std::set<std::string_view> names;
  for (const ModelKind& kind : every_kind()) {
    CHECK(names.insert(kind_name(kind)).second);
    std::set<std::string_view> keys{"kind"};
    for (const std::string_view key : keys_of(kind)) {
      CAPTURE(std::string(key));
      CHECK(keys.insert(key).second);
    }
  }
}

TEST_CASE("what is true of some kinds names them in the order of the table") {
  CHECK(kinds_where([](const KindFacts& kind) { return kind.trainable; }) == Names{"small-cnn", "mlp", "fake"});
  CHECK(kinds_where([](const KindFacts& kind) { return kind.library == Library::none; }) == Names{"saved", "fake"});
  CHECK(kinds_where([](const KindFacts& kind) { return kind.learns_statistics; }) == Names{"torchscript"});
  CHECK(kinds_where(takes_weights) == Names{"small-cnn", "mlp", "torchscript", "clip-vit", "fake"});
  CHECK(kinds_where([](const KindFacts& kind) { return is_saved(kind); }) == Names{"saved"});
  CHECK(kinds_where(holds_program) == Names{"torchscript", "aoti", "onnx", "openvino", "python"});
}

TEST_CASE("a kind whose weights come with a tower names its folder") {
  for (const ModelKind& kind : every_kind())
    if (facts_of(kind).weights == WeightsFrom::tower) CHECK(folder_of(kind) != nullptr);
}

TEST_CASE("what a model answers and how wide is known as far as its description tells") {
  CHECK(facts_of(MlpModel{{64, 7}}).width == 7);
  CHECK(facts_of(MlpModel{}).width == 0);
  CHECK(facts_of(SmallCnnModel{5}).width == 5);
  CHECK(facts_of(TorchScriptModel{}).width == 0);
  CHECK(facts_of(SmallCnnModel{}).output->kind == OutputKind::logits);
  CHECK(facts_of(SmallCnnModel{}).output->chosen_by.empty());
  CHECK(facts_of(ClipVitModel{}).output->kind == OutputKind::features);
  CHECK(facts_of(ClipVitModel{"t", ClipOutput::logits, "h"}).output->kind == OutputKind::logits);
  CHECK(facts_of(ClipVitModel{"t", ClipOutput::projected}).output->chosen_by == "projected");
  CHECK_FALSE(facts_of(AotiModel{}).output);
  CHECK_FALSE(values_per_image(TorchScriptModel{}, 192));
  CHECK(values_per_image(MlpModel{{64, 10}}, 64) == 128);
  CHECK(values_per_image(MlpModel{{64, 100}}, 64) == 200);
}

TEST_CASE("a part of an mlp takes what the layer before it outputs whatever it is fed with") {
  MlpModel part{{8, 6, 4}};
  CHECK(parameters_of(part, 10) == (10 + 1) * 8 + (8 + 1) * 6 + (6 + 1) * 4);
  part.part = {.from = 1};
  for (const std::uint64_t seen : {1, 8}) CHECK(parameters_of(part, seen) == (8 + 1) * 6 + (6 + 1) * 4);
  part.part = {.from = 2, .to = 3};
  CHECK(parameters_of(part, 1) == (6 + 1) * 4);
}

TEST_CASE("the files of a model are those that it names and those that count in its folder") {
  const TemporaryFolder folder;
  for (const char* name : {"config.json", "b.safetensors", "a.safetensors", "vocab.json", "head.st"})
    std::ofstream(folder / name) << "x";
  const ClipVitModel clip{folder.path().string(), ClipOutput::logits, (folder / "head.st").string()};
  using Files = std::vector<std::filesystem::path>;
  CHECK(files_of(clip, "") ==
        Files{folder / "config.json", folder / "a.safetensors", folder / "b.safetensors", folder / "head.st"});
  CHECK(files_of(clip, "w.safetensors") == Files{folder / "config.json", folder / "head.st"});
  CHECK(files_of(AotiModel{{(folder / "head.st").string(), (folder / "absent").string()}}, "") ==
        Files{folder / "head.st"});
  CHECK(files_of(SmallCnnModel{}, "w.safetensors").empty());
  REQUIRE(paths_of(clip).size() == 2);
  CHECK(paths_of(clip)[1].key == "model.head");
  CHECK(paths_of(TorchScriptModel{"m.pt"}).front().path == "m.pt");
  ModelKind kind = clip;
  REQUIRE(folder_of(kind) != nullptr);
  *folder_of(kind) = "elsewhere";
  CHECK(std::get<ClipVitModel>(kind).path == "elsewhere");
  CHECK(folder_of(ModelKind(TorchScriptModel{"m.pt"})) == nullptr);
}

TEST_CASE("the files of an openvino model are its weights and all of a SavedModel too") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "saved" / "variables");
  for (const char* name :
       {"a.xml", "a.bin", "b.bin", "p.pdmodel", "p.pdiparams", "saved/saved_model.pb", "saved/variables/v"})
    std::ofstream(folder / name) << "x";
  using Files = std::vector<std::filesystem::path>;
  const auto files = [&](const std::string& name) { return files_of(OpenVinoModel{(folder / name).string()}, ""); };
  CHECK(files("a.xml") == Files{folder / "a.xml", folder / "a.bin"});
  CHECK(files("p.pdmodel") == Files{folder / "p.pdmodel", folder / "p.pdiparams"});
  CHECK(files("saved") == Files{folder / "saved" / "saved_model.pb", folder / "saved" / "variables" / "v"});
  CHECK(files("absent.xml").empty());
}

TEST_CASE("fields that do not go together are named by the key that is at fault") {
  const auto headless = clash_in(ClipVitModel{"t", ClipOutput::logits});
  REQUIRE(headless);
  CHECK(headless->key == "output");
  CHECK(headless->text == "'output: logits' needs 'head', the file that turns features into logits");
  const auto useless = clash_in(ClipVitModel{"t", ClipOutput::pooled, "h"});
  REQUIRE(useless);
  CHECK(useless->key == "head");
  CHECK(useless->text == "'head' has no meaning with 'output: pooled'; set 'output: logits'");
  CHECK_FALSE(clash_in(ClipVitModel{"t", ClipOutput::logits, "h"}));
}

std::string load_message(const ModelKind& model) {
  control::Load load;
  load.member.model = model;
  load.member.takes = {TakenTensor::unchanged({Dtype::float32, {1}})};
  return control::encode(load);
}

TEST_CASE("a model of every kind arrives in a control message as it was sent") {
  const TemporaryFolder folder;
  Change change(folder.path());
  std::vector<ModelKind> models = every_model(change);
  models.insert(models.end(), every_kind().begin(), every_kind().end());
  for (const ModelKind& model : models) {
    CAPTURE(std::string(kind_name(model)));
    const auto came = std::get<control::Load>(control::decode(load_message(model)));
    CHECK(came.member.model == model);
  }
}

TEST_CASE("a control message that lacks any field of a model is refused with the name of the field") {
  for (const ModelKind& model : every_kind())
    for_each_field(model, [&](std::string_view key, const auto&, const auto&) {
      // Behind the model's kind: other parts of the message have keys of the same name.
      std::string text = load_message(model);
      const std::string quoted = "\"" + std::string(key) + "\":";
      const std::size_t at = text.find(quoted, text.find("\"" + std::string(kind_name(model)) + "\""));
      REQUIRE(at != std::string::npos);
      text.replace(at, quoted.size(), "\"lost\":");
      const auto error = error_of([&] { control::decode(text); });
      REQUIRE(error);
      CHECK(error->detail() == "field '" + std::string(key) + "' is missing");
    });
}

}  // namespace
}  // namespace tutti::test
