// `inputs:`, the tensors of samples that are not images, and `takes:`, those that a member takes.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "common/tensor_text.hpp"
#include "config/input.hpp"
#include "config/takes.hpp"
#include "tests/config/problems.hpp"

namespace tutti::test {
namespace {

/// One member of this kind and with these keys, over these tensors.
std::string tensors_yaml(const std::string& inputs, const std::string& keys = "", const std::string& kind = "fake",
                         const std::string& rest = "dataset: npy, ") {
  return "members: [{name: m, model: {kind: " + kind + "}" + keys + "}]\ninput: {" + rest + "inputs: " + inputs + "}\n";
}

config::EnsembleSpec load_tensors(const std::string& inputs, const std::string& keys = "",
                                  const std::string& kind = "fake", const std::string& rest = "dataset: npy, ") {
  return config::load_text(tensors_yaml(inputs, keys, kind, rest), "e.yaml");
}

/// The message about them.
std::string wrong_tensors(const std::string& inputs, const std::string& keys = "", const std::string& kind = "fake",
                          const std::string& rest = "dataset: npy, ") {
  return problem(tensors_yaml(inputs, keys, kind, rest));
}

constexpr const char* kRandom = "dataset: random, count: 4, ";
constexpr const char* kFromApi = "";

TEST_CASE("the tensors of samples are named with their files") {
  const config::InputSpec input =
      load_tensors("{table: t.csv}", "", "fake", "dataset: npy, labels: 't.csv:species', classes: 5, skip: 1, ").input;
  CHECK(input.tensors == std::vector<config::InputTensor>{{"table", "t.csv", {}}});
  CHECK(input.labels == "t.csv:species");
  CHECK(input.classes == 5);
  CHECK(input.skip == 1);
  CHECK(load_tensors("s.npz").input.tensors == std::vector<config::InputTensor>{{"", "s.npz", {}}});
  CHECK(load_tensors("{x: 's.npz:image', y: \"a:b.npy\"}", ", takes: x").input.tensors ==
        std::vector<config::InputTensor>{{"x", "s.npz:image", {}}, {"y", "a:b.npy", {}}});
}

TEST_CASE("random tensors and those of the API are named with shape and dtype") {
  for (const char* rest : {kRandom, kFromApi}) {
    const auto spec =
        load_tensors("{x: {shape: [5, 100]}, ids: {shape: [16], dtype: int64}, n: {shape: [], dtype: bool}}",
                     ", takes: [ids, x]", "fake", rest);
    const auto tensors = config::known_tensors(spec.input);
    REQUIRE(tensors);
    CHECK(sample_text(*tensors) == "x (5x100 of float32), ids (16 of int64) and n (a number of bool)");
    CHECK_FALSE(config::known_shape(spec.input));
    CHECK(spec.members[0].takes == std::vector<config::TakesSpec>{{"ids"}, {"x"}});
  }
}

TEST_CASE("tensors and what members take stay the same through the effective configuration") {
  const auto check = [](const config::EnsembleSpec& spec) {
    CAPTURE(spec.effective_yaml);
    config::EnsembleSpec again = config::load_text(spec.effective_yaml, "again");
    CHECK(again.effective_yaml == spec.effective_yaml);
    CHECK(again.input == spec.input);
    CHECK(again.members == spec.members);
  };
  check(load_tensors("{x: x.npy, y: 's.npz:a b'}", ", takes: [y, x, y]"));
  check(load_tensors("s.npz", ", takes: {pixel_values: image, t: table}"));
  check(load_tensors("{x: {shape: []}}", ", takes: x", "fake", kRandom));
  check(load_tensors("{x: {shape: [3, 4, 4], dtype: uint8}}", ", takes: [x], input: {mean: 0.5}", "fake", kFromApi));
  check(load_one("input: {dataset: npy, images: 's.npz:image', labels: 't.csv:y'}"));
}

TEST_CASE("wrong tensors are refused with what they must be") {
  CHECK(wrong_tensors("{}") ==
        "e.yaml:2:31: 'inputs' must be a map of 1 to 64 names and files, or an .npz archive, not one of 0");
  CHECK(wrong_tensors("t.csv") ==
        "e.yaml:2:31: 'inputs' must be a map of 1 to 64 names and files, or an .npz archive, not 't.csv'");
  CHECK(wrong_tensors("[x]", "", "fake", kRandom) ==
        "e.yaml:2:44: 'inputs' must be a map of 1 to 64 names and tensors, not a list");
  CHECK(wrong_tensors("{x: [1]}") ==
        "e.yaml:2:35: tensor 'x' must be a file such as x.npy, samples.npz:x or t.csv, not a list");
  CHECK(wrong_tensors("{x: s.npz}") == "e.yaml:2:35: tensor 'x' needs one array of the archive: s.npz:x");
  CHECK(wrong_tensors("{'a b': x.npy}") ==
        "e.yaml:2:32: the name 'a b' of a tensor may contain only letters, digits, '_', '.' and '-'");
  CHECK(wrong_tensors("{'': x.npy}") == "e.yaml:2:32: a tensor needs a name");
  CHECK(wrong_tensors("{x: {dtype: int64}}", "", "fake", kRandom) ==
        "e.yaml:2:48: tensor 'x' needs 'shape', the sizes of one sample: [5, 100], or [] for a number");
  CHECK(wrong_tensors("{x: {shape: 5}}", "", "fake", kRandom) ==
        "e.yaml:2:56: 'shape' of a tensor must be a list of at most 5 sizes, not '5'");
  CHECK(wrong_tensors("{x: {shape: [1, 1, 1, 1, 1, 1]}}", "", "fake", kRandom) ==
        "e.yaml:2:56: 'shape' of a tensor must be a list of at most 5 sizes, not one of 6");
  CHECK(wrong_tensors("{x: {shape: [0]}}", "", "fake", kRandom) ==
        "e.yaml:2:57: each item of 'shape' must be a whole number of at least 1, not '0'");
  CHECK(wrong_tensors("{x: {shape: [2], dtype: float64}}", "", "fake", kRandom) ==
        "e.yaml:2:68: 'dtype' must be float32, float16, bfloat16, uint8, int32, int64 or bool, not 'float64'; did you "
        "mean 'float32'?");
  CHECK(wrong_tensors("{x: {shape: [2], type: int64}}", "", "fake", kRandom) ==
        "e.yaml:2:61: unknown key 'type'; did you mean 'dtype'?");
  CHECK(wrong_tensors("{x: {shape: [16384, 16384]}, y: {shape: [1]}}", "", "fake", kRandom) ==
        "e.yaml:2:44: a sample of 'inputs' has 268435457 or more values, more than 268435456");
  CHECK(wrong_tensors("{x: {shape: [65536, 65536, 65536, 65536, 65536]}}", "", "fake", kRandom) ==
        "e.yaml:2:44: a sample of 'inputs' has 4294967296 or more values, more than 268435456");
}

TEST_CASE("keys of images are refused beside tensors") {
  const auto beside = [](const std::string& keys, const char* rest) {
    const std::string text =
        wrong_tensors(rest == kFromApi ? "{x: {shape: [2]}}" : "{x: x.npy}", "", "fake", rest + keys + ", ");
    return text.substr(text.find(": ") + 2);
  };
  CHECK(beside("images: x.npy", "dataset: npy, ") ==
        "'images' is for images, and 'inputs' names tensors; leave one of them out");
  CHECK(beside("layout: nhwc", "dataset: npy, ") ==
        "'layout' is for images, and 'inputs' names tensors; leave one of them out");
  CHECK(beside("shape: [3, 4, 4]", kFromApi) ==
        "'shape' is for images, and 'inputs' names tensors; leave one of them out");
  CHECK(beside("preprocess: {mean: 1}", "dataset: npy, ") ==
        "'preprocess' is for images, and 'inputs' names tensors; give the members that take an image an 'input'");
  CHECK(problem(kOneMember + "input: {dataset: digits, inputs: {x: x.npy}}") ==
        "e.yaml:2:26: 'inputs' belongs to dataset npy or random, not to dataset digits");
}

TEST_CASE("a member takes one tensor by its name or several by place or by argument") {
  const auto takes = [](const std::string& value) {
    return load_tensors("{image: x.npy, table: t.csv}", ", takes: " + value).members[0].takes;
  };
  CHECK(takes("table") == std::vector<config::TakesSpec>{{"table"}});
  CHECK(takes("[table, image]") == std::vector<config::TakesSpec>{{"table"}, {"image"}});
  CHECK(takes("{pixel_values: image, t: table}") ==
        std::vector<config::TakesSpec>{{"image", "pixel_values"}, {"table", "t"}});
  CHECK(load_tensors("{table: t.csv}").members[0].takes.empty());
  CHECK(load_one("input: {dataset: digits}").members[0].takes.empty());
  CHECK(
      config::load_text("members: [{name: m, model: {kind: fake}, takes: image}]\ninput: {dataset: digits}\n", "e.yaml")
          .members[0]
          .takes.size() == 1);
}

TEST_CASE("wrong names of tensors are refused at their place") {
  const auto takes = [](const std::string& value, const std::string& inputs = "{image: x.npy, table: t.csv}") {
    return wrong_tensors(inputs, ", takes: " + value);
  };
  CHECK(wrong_tensors("{image: x.npy, table: t.csv}") ==
        "e.yaml:1:11: member 'm' must say which tensors it takes: image, table");
  CHECK(takes("[table, imag]") ==
        "e.yaml:1:57: member 'm' takes 'imag', but a sample has image and table; did you mean 'image'?");
  CHECK(takes("{t: text}") == "e.yaml:1:53: member 'm' takes 'text', but a sample has image and table");
  CHECK(takes("[]") == "e.yaml:1:49: 'takes' must name 1 to 8 tensors, not 0");
  CHECK(takes("[image, image, image, image, image, image, image, image, image]") ==
        "e.yaml:1:49: 'takes' must name 1 to 8 tensors, not 9");
  CHECK(takes("[[image]]") == "e.yaml:1:50: 'takes' must name a tensor, not a list");
  CHECK(takes("{a: {}}") == "e.yaml:1:53: 'takes' must name a tensor, not a map");
  CHECK(takes("anything", "s.npz").empty());  // only the archive tells
  CHECK(problem("members: [{name: m, model: {kind: fake}, takes: table}]\ninput: {dataset: digits}\n") ==
        "e.yaml:1:49: member 'm' takes 'table', but a sample has image");
}

TEST_CASE("a kind that takes one image or one tensor is not given others") {
  const auto random = [](const std::string& inputs, const std::string& kind, const std::string& keys) {
    const std::string text = wrong_tensors(inputs, keys, kind, kRandom);
    return text.substr(std::min(text.find(": "), text.size() - 2) + 2);
  };
  const std::string both = "{image: {shape: [3, 32, 32]}, ids: {shape: [16], dtype: int64}}";
  CHECK(random(both, "small-cnn", ", takes: [image, ids]") ==
        "member 'm' is a small-cnn, which takes one image, not 2 tensors; name one of them in 'takes'");
  CHECK(random(both, "mlp, layers: [4]", ", takes: [image, ids]") ==
        "member 'm' is an mlp, which takes one tensor, not 2 tensors; name one of them in 'takes'");
  CHECK(random(both, "aoti, path: a.pt2", ", takes: {x: image}") ==
        "member 'm' is an aoti, whose input has no name; write 'takes: image'");
  CHECK(random(both, "mlp, layers: [4]", ", takes: ids") ==
        "member 'm' is an mlp, which takes a tensor of float32, not 'ids' (16 of int64); name another tensor in "
        "'takes', or save it as float32");
  CHECK(random(both, "aoti, path: a.pt2", ", takes: ids") ==
        "member 'm' is an aoti, which takes an image of float32, not 'ids' (16 of int64); name another tensor in "
        "'takes', or save it as float32");
  CHECK(random("{x: {shape: [3, 32, 32], dtype: uint8}}", "small-cnn", "") ==
        "member 'm' is a small-cnn, which takes an image of float32, not 'x' (3x32x32 of uint8); give it an 'input', "
        "such as 'input: {}', which makes bytes 0 to 1");
  CHECK(random("{x: {shape: [3, 8, 8]}}", "small-cnn", "") ==
        "member 'm' is a small-cnn, which takes images of 3x32x32, not 3x8x8; resize them with 'input' of this member");
  CHECK(load_tensors("{x: {shape: [3, 8, 8], dtype: uint8}}", ", input: {resize: [32, 32]}", "small-cnn", kRandom)
            .members.size() == 1);
  CHECK(load_tensors(both, ", takes: image", "'mlp', layers: [4]", kRandom).members.size() == 1);
}

TEST_CASE("the input of a member prepares the only image that it takes or those that it names") {
  const auto random = [](const std::string& inputs, const std::string& keys) {
    const std::string text = wrong_tensors(inputs, keys, "fake", kRandom);
    return text.substr(std::min(text.find(": "), text.size() - 2) + 2);
  };
  const std::string three =
      "{a: {shape: [3, 4, 4]}, b: {shape: [1, 4, 4], dtype: uint8}, n: {shape: [3, 4, 4], dtype: int64}}";
  CHECK(random(three, ", takes: [n], input: {mean: 1}") ==
        "member 'm' has an 'input', which prepares an image, and takes none: n (3x4x4 of int64); leave 'input' out; an "
        "image is uint8 or float32 of three sizes");
  CHECK(random(three, ", takes: [a, n, b], input: {mean: 1}") ==
        "member 'm' has an 'input', which prepares one image, and takes several: a and b; say which it is for: "
        "'input: {tensors: [a, b]}'");
  CHECK(random(three, ", takes: [a, n, b], input: {tensors: [a, b], mean: 1}").empty());
  CHECK(random(three, ", takes: [a, b], input: {tensors: b}").empty());
  CHECK(
      random(three, ", takes: [a, n, b], input: {tensors: [a, n]}") ==
      "member 'm' has an 'input' for 'n', which is not an image (3x4x4 of int64); leave it out of 'tensors'; an image "
      "is uint8 or float32 of three sizes");
  CHECK(random(three, ", takes: [a, n], input: {tensors: [a, b]}") ==
        "member 'm' has an 'input' for 'b', and takes a and n; name images that the member takes in 'tensors' of "
        "'input'");
  CHECK(random(three, ", takes: [a, b], input: {tensors: [a, b], mean: [1, 2, 3]}") ==
        "member 'm' cannot use this 'input': 'mean' has 3 values, but an image has 1 channel; give one for each "
        "channel, or one for all");
  CHECK(random(three, ", takes: a, input: {tensors: []}") == "'tensors' must name an image that the member takes");
  CHECK(random(three, ", takes: a, input: {tensors: [{a: 1}]}") ==
        "'tensors' must name an image that the member takes, or a list of them, not a map");
  CHECK(random(three, ", takes: [n, a], input: {mean: [1, 2]}") ==
        "member 'm' cannot use this 'input': 'mean' has 2 values, but an image has 3 channels; give one for each "
        "channel, or one for all");
  config::MemberSpec member;
  member.name = "m";
  member.model.kind = FakeModel{};
  member.input = MemberInput{{ResizeRule::exact, 2, 5}, {}, {}};
  const std::vector<NamedLayout> taken{{"n", {Dtype::int64, {}}}, {"b", {Dtype::uint8, {1, 4, 4}}}};
  const config::SeenTensors seen = config::seen_tensors(member, taken);
  CHECK(seen.prepared == std::vector<std::size_t>{1});
  CHECK(seen.layouts == std::vector<TensorLayout>{{Dtype::int64, {}}, {Dtype::float32, {1, 2, 5}}});
  member.prepares = {"c", "b"};
  const std::vector<NamedLayout> several{
      {"a", {Dtype::uint8, {3, 4, 4}}}, taken[1], {"c", {Dtype::float32, {2, 1, 1}}}};
  const config::SeenTensors both = config::seen_tensors(member, several);
  CHECK(both.prepared == std::vector<std::size_t>{1, 2});
  CHECK(both.layouts ==
        std::vector<TensorLayout>{{Dtype::uint8, {3, 4, 4}}, {Dtype::float32, {1, 2, 5}}, {Dtype::float32, {2, 2, 5}}});
}

TEST_CASE("with tasks and no images to run on only the tasks must have what members take") {
  const std::string task = "{name: one, input: {dataset: npy, inputs: {t: t.csv}, labels: 't.csv:y'}}";
  CHECK(problem("members: [{name: m, model: {kind: fake}, takes: t}]\ntasks: [" + task + "]\n").empty());
  CHECK(problem("members: [{name: m, model: {kind: fake}, takes: u}]\ntasks: [" + task + "]\n") ==
        "e.yaml:1:49: member 'm' takes 'u', but a sample has t");
}

}  // namespace
}  // namespace tutti::test
