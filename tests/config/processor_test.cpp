// The input that a clip-vit member takes from its folder: what the image processor there says, and when it counts.
#include "config/processor.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/common/error_of.hpp"
#include "tests/common/lfs_pointer_text.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

using config::processor_input;

const std::string kClip =
    R"("image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": {"height": 30, "width": 28},
       "resample": 2, "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_convert_rgb": true,
       "image_mean": [0.5, 0.25, 0], "image_std": [1, 2, 4])";

struct ModelFolder : TemporaryFolder {
  void put(const std::string& text, const char* name = "preprocessor_config.json") const {
    std::ofstream(*this / name) << text;
  }
  /// The error for a processor with these keys besides, or in the place of, the plain ones.
  Error refusal(const std::string& keys) const {
    put("{" + keys + "}");
    const auto error = error_of([&] { processor_input(path()); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(contains(error->message(), (*this / "preprocessor_config.json").string()));
    return *error;
  }
};

const MemberInput kExpected{
    {ResizeRule::shorter, 32, 32, 30, 28, Interpolation::bilinear, CropRounding::floor}, {0.5F, 0.25F, 0}, {1, 2, 4}};

TEST_CASE("the image processor of a folder becomes an input") {
  const ModelFolder folder;
  CHECK_FALSE(processor_input(folder.path()));
  CHECK_FALSE(processor_input(folder / "absent"));
  folder.put("{" + kClip + "}");
  CHECK(processor_input(folder.path()) == kExpected);
}

TEST_CASE("the image processor inside a processor comes first and a processor without one does not count") {
  const ModelFolder folder;
  folder.put("{\"image_processor\": {" + kClip + "}}", "processor_config.json");
  CHECK(processor_input(folder.path()) == kExpected);
  folder.put("{\"size\": 8, \"do_normalize\": false}");
  CHECK(processor_input(folder.path()) == kExpected);
  folder.put("{\"processor_class\": \"CLIPProcessor\"}", "processor_config.json");
  CHECK(processor_input(folder.path())->resize ==
        Resize{ResizeRule::shorter, 8, 8, 8, 8, Interpolation::bicubic, CropRounding::floor});
}

TEST_CASE("steps that a processor leaves out are left out and other forms of sizes are read") {
  const ModelFolder folder;
  folder.put(R"({"do_resize": false, "do_center_crop": false, "image_mean": [0.5], "image_std": [0.5]})");
  CHECK(processor_input(folder.path()) == MemberInput{{}, {0.5F}, {0.5F}});
  folder.put(R"({"do_center_crop": false, "do_normalize": false, "size": {"height": 8, "width": 9}, "resample": 0})");
  CHECK(processor_input(folder.path()) == MemberInput{{ResizeRule::exact, 8, 9, 0, 0, Interpolation::nearest}, {}, {}});
  folder.put(R"({"do_center_crop": false, "do_normalize": false, "size": 8})");
  CHECK(processor_input(folder.path())->resize.rule == ResizeRule::exact);
}

TEST_CASE("a processor that does more is rejected with the name of the key") {
  const ModelFolder folder;
  const std::pair<const char*, const char*> rows[] = {
      {R"("do_pad": true)", "'do_pad' is true"},
      {R"("do_flip_channel_order": true)", "'do_flip_channel_order' is true"},
      {R"("do_rescale": false)", "'do_rescale' is false"},
      {R"("rescale_factor": 0.0078)", "'rescale_factor' is "},
      {R"("rescale_factor": "x")", "'rescale_factor' is \"x\""},
      {R"("do_resize": false, "do_center_crop": true)", "'do_center_crop' is true without 'do_resize'"},
      {R"("image_mean": 3)", "'image_mean' is 3"},
      {R"("size": {"longest_edge": 8})", "'size' is {\"longest_edge\":8}"},
      {R"("size": 0)", "'size' is 0"},
      {R"("resample": 1)", "'resample' is 1"},
      {R"("image_processor_type": "LevitImageProcessor")",
       "'image_processor_type' is \"LevitImageProcessor\", not CLIP's"}};
  for (const auto& row : rows) {
    CAPTURE(row.first);
    const Error error = folder.refusal(kClip + ", " + row.first);  // of a key that is there twice the last counts
    CHECK(contains(error.message(), row.second));
    CHECK(contains(error.hint(), "'input: {}'"));
  }
  CHECK(contains(folder.refusal("\"size\": 8").message(), "'image_mean' is missing"));
  CHECK(contains(folder.refusal("\"do_normalize\": false").message(), "'size' is missing"));
  folder.put("[]");
  CHECK(contains(error_of([&] { processor_input(folder.path()); })->message(), "is not a JSON object"));
  folder.put("{");
  CHECK(contains(error_of([&] { processor_input(folder.path()); })->message(), "is not valid JSON"));
  folder.put(kLfsPointer);
  CHECK(contains(error_of([&] { processor_input(folder.path()); })->message(), "is a Git LFS pointer"));
}

TEST_CASE("plain processors of other classes are read if they are asked for with the defaults of their classes") {
  const ModelFolder folder;
  const auto plain = [&](const std::string& keys) {
    folder.put("{" + keys + R"(, "image_mean": [0.5], "image_std": [0.25]})");
    return processor_input(folder.path(), config::ProcessorClasses::plain)->resize;
  };
  const std::string size = R"("size": {"height": 32, "width": 30}, )";
  CHECK(plain(size + R"("image_processor_type": "ViTImageProcessorFast")") ==
        Resize{ResizeRule::exact, 32, 30, 0, 0, Interpolation::bilinear});
  CHECK(plain(size + R"("feature_extractor_type": "SiglipFeatureExtractor")").interpolation == Interpolation::bicubic);
  CHECK(plain(R"("size": {"shortest_edge": 32}, "image_processor_type": "BitImageProcessor")") ==
        Resize{ResizeRule::shorter, 32, 32, 32, 32, Interpolation::bicubic, CropRounding::floor});
  CHECK(plain(R"("size": 32)") == Resize{ResizeRule::exact, 32, 32, 0, 0, Interpolation::bilinear});  // an old file
  // ConvNeXt makes small images larger before it crops them: 64 / 0.875.
  CHECK(plain(R"("size": {"shortest_edge": 64}, "image_processor_type": "ConvNextImageProcessor")") ==
        Resize{ResizeRule::shorter, 73, 73, 64, 64, Interpolation::bilinear, CropRounding::floor});
  CHECK(plain(R"("size": {"shortest_edge": 384}, "image_processor_type": "ConvNextImageProcessor")") ==
        Resize{ResizeRule::exact, 384, 384, 0, 0, Interpolation::bilinear});
  const auto refusal = [&](const std::string& keys) {
    folder.put("{" + keys + "}");
    return error_of([&] { processor_input(folder.path(), config::ProcessorClasses::plain); })->message();
  };
  CHECK(contains(refusal(R"("image_processor_type": "LevitImageProcessor")"), "which may do more than resize"));
  CHECK(contains(refusal(R"("image_processor_type": "ViTOtherProcessor")"), "which may do more than resize"));
  CHECK(contains(refusal(R"("image_processor_type": "BeitImageProcessor", "size": 32)"),
                 "'do_center_crop' is missing, and its default differs"));
  CHECK(contains(refusal(R"("size": 32, "rescale_offset": true)"), "'rescale_offset' is true"));
  CHECK(contains(refusal(R"("size": 32, "crop_pct": 0)"), "'crop_pct' is 0"));
  CHECK(contains(folder.refusal(R"("image_processor_type": "ViTImageProcessor")").message(), "not CLIP's"));
}

config::EnsembleSpec towers(const ModelFolder& folder, const std::string& member, const std::string& rest) {
  return config::load_text("members: [{name: a, model: {kind: clip-vit, path: " + folder.path().string() + "}" +
                               member + "}]\ncombine: {over: features}\n" + rest,
                           "e.yaml");
}

TEST_CASE("a clip-vit member without an input takes that of its folder unless the images are prepared otherwise") {
  const ModelFolder folder;
  folder.put("{" + kClip + "}");
  const std::string images = "input: {dataset: folder, path: x, resize: 64}\n";
  const config::EnsembleSpec spec = towers(folder, "", images);
  CHECK(spec.members[0].input == kExpected);
  CHECK(config::load_text(spec.effective_yaml, "effective") == spec);
  CHECK(towers(folder, ", input: {}", images).members[0].input == MemberInput{});
  CHECK(towers(folder, ", input: {mean: 0.5}", images).members[0].input->mean == std::vector<float>{0.5F});
  CHECK_FALSE(towers(folder, "", "input: {dataset: folder, path: x, resize: 64, preprocess: {mean: 0.5, std: 1}}\n")
                  .members[0]
                  .input);
  CHECK_FALSE(towers(folder, "", "").members[0].input);                              // images come from a program
  CHECK(towers(folder, "", "input: {resize: 64}\n").members[0].input == kExpected);  // it has pictures
  const ModelFolder without;
  CHECK_FALSE(towers(without, "", images).members[0].input);
}

TEST_CASE("a clip-vit member with a processor that does more is a violation with its place") {
  const ModelFolder folder;
  folder.put("{\"do_pad\": true, " + kClip + "}");
  const auto error = error_of([&] { towers(folder, "", "input: {dataset: folder, path: x, resize: 64}\n"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "e.yaml:1:11: member 'a': '"));
  CHECK(contains(error->message(), "'do_pad' is true; Tutti only resizes"));
}

}  // namespace
}  // namespace tutti::test
