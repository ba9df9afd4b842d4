// Whole pools over torchscript members whose predictions do not repeat, or are random on purpose.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <cstring>
#include <vector>

#include <tutti/ensemble.hpp>

#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"

namespace {

using namespace tutti;

constexpr std::uint32_t kRepeated = 53;  // divides neither by the segment nor by the batch
constexpr ImageShape kRepeatedShape{3, 32, 32};

Spec scripts(const std::string& members) {
  return parse_spec(fmt::format(R"(
members:{}assignment: cpu
threads: 1
combine: {{rule: none, over: logits}}
input: {{shape: [3, 32, 32]}}
segment_images: 20
batch_images: 6
)",
                                members));
}

TEST_CASE("random members draw numbers by their seed and segment whichever worker computes it") {
  const test::TemporaryFolder folder;
  test::save_script(folder / "m.pt", "return torch.dropout(torch.flatten(x, 1), 0.5, True)[:, 0:40]");
  const std::string members = fmt::format(R"(
  - {{name: a, model: {{kind: torchscript, path: {0}, random: true}}, seed: 1}}
  - {{name: b, model: {{kind: torchscript, path: {0}, random: true}}, seed: 2}}
)",
                                          (folder / "m.pt").string());
  const std::vector<float> pixels = test::some_images(kRepeated, kRepeatedShape);
  Ensemble ensemble(scripts(members));
  const Predictions first = ensemble.predict(Images(pixels, kRepeatedShape));
  CHECK(first.members[0].values != first.members[1].values);
  ::kill(ensemble.status().members[0].pid, SIGKILL);
  const Predictions again = ensemble.predict(Images(pixels, kRepeatedShape));
  CHECK(ensemble.status().members[0].deaths == 1);
  for (std::size_t m = 0; m < 2; ++m) CHECK(again.members[m].values == first.members[m].values);
}

TEST_CASE("a TorchScript member that is not the same twice is reported with its operators and leaves with usage") {
  const test::TemporaryFolder folder;
  const std::string dense = "torch.linear(torch.flatten(x, 1), self.weight, self.bias)";
  struct Case {
    const char* forward;
    const char* message;
    const char* detail;
  };
  for (const Case& wrong :
       {Case{"return torch.dropout(D, 0.5, True)", "gives other outputs when it predicts the same images again",
             "it has aten::dropout in training mode"},
        Case{"self.bias.add_(1)\n    return D", "gives other outputs when it predicts the same images again",
             "it changes its buffers when it is called"},
        Case{"return torch.batch_norm(D, None, None, None, None, True, 0.1, 1e-5, True)",
             "outputs for an image depend on the other images of its batch",
             "it has aten::batch_norm in training mode"}})
    for (const char* optimize : {"on", "off"}) {
      CAPTURE(wrong.forward);
      CAPTURE(optimize);
      std::string forward = wrong.forward;
      forward.replace(forward.find('D'), 1, dense);
      test::save_script(folder / "m.pt", forward);
      const auto error = test::error_of([&] {
        Ensemble(scripts(fmt::format("\n  - {{name: a, model: {{kind: torchscript, path: {}, optimize: {}}}}}\n",
                                     (folder / "m.pt").string(), optimize)));
      });
      REQUIRE(error);
      CHECK(error->kind() == ErrorKind::usage);
      const std::string text = error->message() + error->detail();
      CHECK(test::contains(text, wrong.message));
      CHECK(test::contains(text, wrong.detail));
      CHECK(test::contains(error->hint(), "model.eval()"));
    }
}

}  // namespace
