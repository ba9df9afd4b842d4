// Tests of torchscript members: optimised and plain agree, and what cannot be used is named in few words.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/torch/models.hpp"
#include "worker/torch/script_model.hpp"

namespace tutti::worker {
namespace {

using test::answers;
using test::contains;
using test::error_of;
using test::request_for;
using test::save_script;
using test::script_request;
using test::some_images;
using test::TemporaryFolder;

// The error of the first batch of 4 images that a module with this body is given.
std::optional<Error> first_batch_error(const std::string& forward, MemberRequest request = {},
                                       const std::string& entry = "") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", forward);
  const MemberRequest plain = script_request(folder / "m.pt", true, entry);
  if (request.name.empty()) request = plain;
  request.model = plain.model;
  return error_of([&] {
    const std::vector<float> images = some_images(4);
    make_torch_model(request)->probe(images.data(), 4);
  });
}

TEST_CASE("an optimised module gives the outputs of the plain one and of the sums written out") {
  const TemporaryFolder folder;
  for (const std::string& forward : {test::kDenseScript, test::kConvolutionScript}) {
    save_script(folder / "m.pt", forward);
    const std::vector<float> images = some_images(8);
    auto plain_model = make_torch_model(script_request(folder / "m.pt", false));
    const std::vector<float> plain = answers(*plain_model, images, 8, 4);
    auto model = make_torch_model(script_request(folder / "m.pt"));
    CHECK(model->output().empty());
    const std::vector<float> optimised = answers(*model, images, 8, 4);
    CHECK(model->output() == Dims{static_cast<std::uint32_t>(plain.size() / 8)});
    CHECK(model->parameters() == 4 * 27 + 30720 + 10);
    REQUIRE(plain.size() == optimised.size());
    for (std::size_t i = 0; i < plain.size(); ++i) CHECK(optimised[i] == doctest::Approx(plain[i]).epsilon(1e-4));
    std::vector<float> output(4 * elements_of(model->output()));
    model->predict(images.data(), 4, output);
    CHECK(std::equal(output.begin(), output.end(), optimised.begin()));
  }
}

TEST_CASE("a dense module outputs what its weights say") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", "return torch.flatten(x, 1)[:, 5:8] * 2.0");
  const std::vector<float> images = some_images(2);
  const std::vector<float> found = answers(*make_torch_model(script_request(folder / "m.pt")), images, 2, 2);
  REQUIRE(found.size() == 6);
  for (std::size_t i = 0; i < 6; ++i) CHECK(found[i] == 2.0F * images[i / 3 * 3072 + 5 + i % 3]);
}

TEST_CASE("a module that was frozen when it was saved is used unchanged") {
  const TemporaryFolder folder;
  save_script(folder / "plain.pt", test::kConvolutionScript);
  save_script(folder / "frozen.pt", test::kConvolutionScript, true);
  const std::vector<float> images = some_images(4);
  CHECK(answers(*make_torch_model(script_request(folder / "frozen.pt")), images, 4, 4) ==
        answers(*make_torch_model(script_request(folder / "plain.pt")), images, 4, 4));
}

TEST_CASE("a module that was saved while training runs in evaluation mode") {
  const TemporaryFolder folder;
  save_script(folder / "dropout.pt",
              "return torch.linear(torch.dropout(torch.flatten(x, 1), 0.5, self.training), self.weight, self.bias)");
  save_script(folder / "plain.pt", test::kDenseScript);
  const std::vector<float> images = some_images(4);
  for (const bool optimize : {false, true})
    CHECK(answers(*make_torch_model(script_request(folder / "dropout.pt", optimize)), images, 4, 4) ==
          answers(*make_torch_model(script_request(folder / "plain.pt", optimize)), images, 4, 4));
}

TEST_CASE("the same batch of a module has the same bits at every call") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", test::kConvolutionScript);
  const std::vector<float> images = some_images(21);
  auto model = make_torch_model(script_request(folder / "m.pt"));
  const std::vector<float> first = answers(*model, images, 21, 8);
  for (const std::uint32_t batch : {1U, 3U, 4U, 20U, 5U}) answers(*model, images, 21, batch);
  for (int call = 0; call < 4; ++call) CHECK(answers(*model, images, 21, 8) == first);
  CHECK(answers(*make_torch_model(script_request(folder / "m.pt")), images, 21, 8) == first);
}

TEST_CASE("probabilities of a module that outputs logits sum to one and those it outputs itself stay unchanged") {
  const TemporaryFolder folder;
  save_script(folder / "logits.pt", test::kDenseScript);
  save_script(folder / "softmax.pt",
              "return torch.softmax(torch.linear(torch.flatten(x, 1), self.weight, self.bias), 1)");
  const std::vector<float> images = some_images(4);
  MemberRequest logits = script_request(folder / "logits.pt");
  logits.over = OutputKind::probabilities;
  MemberRequest probabilities = script_request(folder / "softmax.pt");
  probabilities.output = probabilities.over = OutputKind::probabilities;
  const std::vector<float> found = answers(*make_torch_model(logits), images, 4, 4);
  const std::vector<float> expected = answers(*make_torch_model(probabilities), images, 4, 4);
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-5));
}

TEST_CASE("a module that writes to its input gets a copy if that is asked for") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", test::kWritingScript);
  const std::vector<float> images = some_images(4);
  MemberRequest request = script_request(folder / "m.pt");
  request.copy_input = true;
  auto model = make_torch_model(request);
  const std::vector<float> first = answers(*model, images, 4, 4);
  CHECK(images == some_images(4));
  CHECK(answers(*model, images, 4, 4) == first);
}

TEST_CASE("a module that writes to read-only input is ended by SIGSEGV") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", test::kWritingScript);
  const std::vector<float> images = some_images(4);
  const std::size_t bytes = images.size() * sizeof(float);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memcpy(memory, images.data(), bytes);
    ::mprotect(memory, bytes, PROT_READ);
    make_torch_model(script_request(folder / "m.pt"))->probe(static_cast<const float*>(memory), 4);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
}

TEST_CASE("a module that differs once optimised is an error that names the option") {
  // Folded into the kernel, the first factor makes all weights too small for float32.
  const auto error = first_batch_error(
      "x = torch.conv2d(x, self.kernel) * 1e-44\n    return torch.flatten(x, 1)[:, 0:8] * 1e38 * 1e7");
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "m.pt' gives other outputs when it is optimised"));
  CHECK(contains(error->detail(), "largest difference"));
  CHECK(contains(error->hint(), "optimize: false"));
}

TEST_CASE("a module that outputs NaN is reported as such and not as one that differs once optimised") {
  const auto error = first_batch_error(
      "x = torch.conv2d(x, self.kernel) * 1e-44\n    x = torch.flatten(x, 1)[:, 0:8] * 1e38 * 1e7\n"
      "    return torch.cat([x, x[:, 0:1] * 0.0 / 0.0], 1)");
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(contains(error->message(), "m.pt' outputs NaN or infinity"));
  CHECK(error->hint() == "check its weights; if such values are meant, set 'optimize: false' for this member");
}

TEST_CASE("the user hears what optimising took if that was long") {
  CHECK(note_on_optimising(0.3).empty());
  CHECK(contains(note_on_optimising(2.34), "optimising it took 2.3 s, which 'optimize: false' saves"));
}

TEST_CASE("outputs of other floating types become float32 with a note") {
  const TemporaryFolder folder;
  save_script(folder / "plain.pt", "return torch.flatten(x, 1)[:, 5:8]");
  const std::vector<float> images = some_images(4);
  const auto plain = make_torch_model(script_request(folder / "plain.pt"));
  const std::vector<float> expected = answers(*plain, images, 4, 4);
  CHECK(plain->notes().empty());
  for (const auto& [call, type] : {std::pair{"double", "Double"}, {"half", "Half"}, {"bfloat16", "BFloat16"}}) {
    CAPTURE(call);
    const std::string cast = call == std::string("bfloat16") ? "to(15)" : call + std::string("()");
    save_script(folder / "m.pt", "return torch.flatten(x, 1)[:, 5:8]." + cast);
    const auto model = make_torch_model(script_request(folder / "m.pt"));
    const std::vector<float> found = answers(*model, images, 4, 2);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-2));
    CHECK(model->notes() ==
          std::vector<std::string>{fmt::format("its outputs are {}, and are converted to float32", type)});
  }
}

TEST_CASE("outputs of another shape or type or kind are reported with what is needed") {
  auto error = first_batch_error("return torch.linear(torch.flatten(x, 1), self.weight, self.bias).long()");
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the model outputs a tensor of shape [4, 10] and type Long");
  CHECK(contains(error->detail(), "type Float"));
  CHECK(contains(error->hint(), "scores, such as logits or probabilities, not the numbers of classes"));
  error = first_batch_error("return torch.argmax(torch.linear(torch.flatten(x, 1), self.weight, self.bias), 1)");
  REQUIRE(error);
  CHECK(error->message() == "the model outputs a tensor of shape [4] and type Long");
  CHECK(contains(error->hint(), "scores, such as logits or probabilities, not the numbers of classes"));
  error = first_batch_error("return torch.flatten(x)");
  REQUIRE(error);
  CHECK(error->message() == "the model outputs a tensor of shape [12288] and type Float");
  CHECK(contains(error->detail(), "shape [4, ...], the prediction of one sample after the other"));
  CHECK(contains(error->hint(), "x.flatten(1)"));
  error = first_batch_error("return torch.flatten(x, 1)[0:1]");
  REQUIRE(error);
  CHECK(error->message() == "the model outputs a tensor of shape [1, 3072] and type Float");
  CHECK(contains(error->hint(), "if it fixes its batch at 1, export it with a free batch"));
  MemberRequest over_probabilities = request_for(SmallCnnModel{});
  error = first_batch_error("return torch.flatten(x, 1)[:, 0:1]", over_probabilities);
  REQUIRE(error);
  CHECK(contains(error->detail(), "softmax of a single value"));
}

TEST_CASE("an entry of a tuple or list or dict is the output if the member names it") {
  const TemporaryFolder folder;
  const std::string wanted = "torch.flatten(x, 1)[:, 5:8]";
  const std::string other = "torch.flatten(x, 1)[:, 0:2]";
  save_script(folder / "plain.pt", "return " + wanted);
  save_script(folder / "tuple.pt", "return " + other + ", " + wanted + ", 3");
  save_script(folder / "list.pt", "return [" + other + ", " + wanted + "]");
  save_script(folder / "dict.pt", "return {'hidden': " + other + ", 'pooler_output': " + wanted + "}");
  const std::vector<float> images = some_images(4);
  const auto expected = answers(*make_torch_model(script_request(folder / "plain.pt")), images, 4, 4);
  for (const bool optimize : {false, true})
    for (const auto& [file, entry] : {std::pair{"tuple.pt", "1"}, std::pair{"list.pt", "1"},
                                      std::pair{"dict.pt", "pooler_output"}, std::pair{"dict.pt", "1"}}) {
      CAPTURE(file);
      auto model = make_torch_model(script_request(folder / file, optimize, entry));
      CHECK(answers(*model, images, 4, 4) == expected);
      CHECK(model->output() == Dims{3});
    }
}

TEST_CASE("an entry that is missing or no tensor or not named is an error that lists what there is") {
  const std::string flat = "torch.flatten(x, 1)";
  auto error = first_batch_error("return {'hidden': " + flat + ", 'pooler_output': " + flat + "[:, 0:7]}");
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the model outputs a dict, not a tensor");
  CHECK(error->detail() == "it has 'hidden': [4, 3072], 'pooler_output': [4, 7]");
  CHECK(error->hint() == "choose one with 'output' in 'model', such as 'output: hidden'");
  error =
      first_batch_error("return {'hidden': " + flat + ", 'pooler_output': " + flat + "[:, 0:7]}", {}, "poolr_output");
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the model's output has no 'poolr_output'");
  CHECK(error->detail() == "dict of 2: it has 'hidden': [4, 3072], 'pooler_output': [4, 7]");
  CHECK(error->hint() == "did you mean 'output: pooler_output'?");
  error = first_batch_error("return " + flat + ", 3", {}, "2");
  REQUIRE(error);
  CHECK(error->message() == "the model's output has no '2'");
  CHECK(error->detail() == "tuple of 2: it has '0': [4, 3072], '1': int");
  CHECK(error->hint() == "correct 'output' in 'model'");
  error = first_batch_error("return " + flat + ", 3", {}, "1");
  REQUIRE(error);
  CHECK(error->message() == "'1' of the model's output is of type int, not a tensor");
  CHECK(error->hint() == "choose another with 'output' in 'model'");
  error = first_batch_error("return " + flat, {}, "logits");
  REQUIRE(error);
  CHECK(error->message() == "the model's output has no 'logits'");
  CHECK(error->detail() == "it is one tensor, with nothing to choose from");
  CHECK(error->hint() == "leave 'output' out of 'model'");
  error = first_batch_error("return 3, 4");
  REQUIRE(error);
  CHECK(error->message() == "the model outputs a tuple, not a tensor");
  CHECK(contains(error->hint(), "output one tensor"));
  error = first_batch_error("return [" + flat + ", " + flat + "][0:" + std::string("0]"));
  REQUIRE(error);
  CHECK(error->detail() == "it has nothing");
}

TEST_CASE("the entry of an output is checked for its shape like an output") {
  const auto error = first_batch_error("return {'hidden': torch.flatten(x)}", {}, "hidden");
  REQUIRE(error);
  CHECK(error->message() == "the model outputs a tensor of shape [12288] and type Float");
}

TEST_CASE("a width that changes between batches is an error") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", "return torch.flatten(x, 1)[:, 0:x.size(0)]");
  auto model = make_torch_model(script_request(folder / "m.pt"));
  const std::vector<float> images = some_images(4);
  model->probe(images.data(), 4);
  const auto error = error_of([&] { model->probe(images.data(), 3); });
  REQUIRE(error);
  CHECK(contains(error->detail(), "shape [3, 4], as in the batches before"));
}

TEST_CASE("a module that fails on a batch is an error without a backtrace") {
  const auto error = first_batch_error("return torch.linear(x, self.weight, self.bias)");
  REQUIRE(error);
  // As a wrong width: a model that fails on the first images takes other ones.
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the model failed on a batch of 4 images");
  CHECK(error->detail().starts_with("RuntimeError: mat1 and mat2 shapes cannot be multiplied"));
  CHECK_FALSE(contains(error->detail(), "__torch__"));
  CHECK(contains(error->hint(), "the images are 3x32x32"));
  CHECK_FALSE(contains(error->detail(), "frame #"));
  CHECK(error->detail().size() < 1100);
}

TEST_CASE("a module that has another batch built in or takes one channel gets a hint about that") {
  const std::string dense = "return torch.linear(x, self.weight, self.bias)";
  for (const std::string& fixed : {"x = x.view(8, -1)\n    " + dense, "x = x.view(8, 3072)\n    " + dense}) {
    const auto error = first_batch_error(fixed);
    REQUIRE(error);
    CHECK(error->hint() == "the model seems to fix its batch at 8: export it with a free batch");
  }
  const auto error = first_batch_error("return torch.flatten(torch.conv2d(x, self.kernel[:, 0:1]), 1)");
  REQUIRE(error);
  CHECK(contains(error->hint(), "takes pictures of 1 channel, and those of a folder have 3"));
  MemberRequest last = script_request("m.pt");
  last.takes = {TakenTensor::unchanged(ImageShape{32, 32, 3}.layout())};
  const auto nhwc = first_batch_error("return torch.flatten(torch.conv2d(x, self.kernel), 1)", last);
  REQUIRE(nhwc);
  CHECK(nhwc->hint() == "the images are 32x32x3: if the last axis is the channels, add 'layout: nhwc' to 'input'");
}

TEST_CASE("files that are no TorchScript are named in few words") {
  const TemporaryFolder folder;
  auto error = error_of([&] { make_torch_model(script_request(folder / "absent.pt")); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "there is no file '" + (folder / "absent.pt").string() + "'");
  CHECK(contains(error->hint(), "path"));
  save_script(folder / "whole.pt", test::kDenseScript);
  const std::string whole = test::bytes_of(folder / "whole.pt");
  std::ofstream(folder / "cut.pt", std::ios::binary) << whole.substr(0, whole.size() / 2);
  std::ofstream(folder / "text.pt") << "not a model";
  std::ofstream(folder / "empty.pt");
  const auto message = [&](const char* name) {
    CAPTURE(name);
    error = error_of([&] { make_torch_model(script_request(folder / name)); });
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->detail().size() < 1100);
    CHECK_FALSE(contains(error->detail(), "frame #"));
    CHECK_FALSE(error->hint().empty());
    CHECK(error->message().starts_with("'" + (folder / name).string() + "' "));
    return error->message().substr((folder / name).string().size() + 3);
  };
  CHECK(message("cut.pt") == "is cut off: it begins as an archive and has no end");
  CHECK(contains(error->hint(), "copy it again"));
  CHECK(message("text.pt") == "is not a model file");
  CHECK(contains(error->hint(), "python -m tutti.export model MODULE:FUNCTION"));
  CHECK(message("empty.pt") == "is empty");
  CHECK(contains(error->hint(), "copy it again"));
  CHECK(message(".") == "is a folder");
  CHECK(contains(error->hint(), "name the file of the model with 'path'"));
  // An archive with its end, whose middle is missing: LibTorch says what is wrong, in few words.
  std::ofstream(folder / "torn.pt", std::ios::binary) << whole.substr(0, 100) + whole.substr(whole.size() - 30);
  error = error_of([&] { make_torch_model(script_request(folder / "torn.pt")); });
  REQUIRE(error);
  CHECK(error->message() == "cannot load '" + (folder / "torn.pt").string() + "' as TorchScript");
  CHECK_FALSE(error->detail().empty());
  CHECK(error->detail().size() < 1100);
  CHECK_FALSE(contains(error->detail(), "frame #"));
  CHECK(contains(error->hint(), "torch.jit"));
}

TEST_CASE("a torchscript member is neither trained nor saved") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", test::kDenseScript);
  const MemberRequest refused = script_request(folder / "m.pt");
  const auto model = make_torch_model(refused);
  CHECK(model->trainable() == nullptr);
  auto error = error_of([&] { trainable_part(*model, refused, "trained"); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "a torchscript member cannot be trained");
  CHECK(contains(error->hint(), "small-cnn or mlp"));
  error = error_of([&] { trainable_part(*model, refused, "saved"); });
  REQUIRE(error);
  CHECK(error->message() == "a torchscript member cannot be saved");
}

}  // namespace
}  // namespace tutti::worker
