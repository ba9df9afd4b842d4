// Tests of torchscript members whose predictions do not repeat: why that is, and those that are random on purpose.
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/script_files.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/torch/models.hpp"

namespace tutti::worker {
namespace {

using test::answers;
using test::contains;
using test::error_of;
using test::save_script;
using test::script_request;
using test::some_images;
using test::TemporaryFolder;

TEST_CASE("a module that draws random numbers is reported as that and not as one that optimising changes") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", "return torch.linear(torch.flatten(x, 1), self.weight, self.bias) + torch.rand([10])");
  const std::vector<float> images = some_images(4);
  const auto error = error_of([&] { make_torch_model(script_request(folder / "m.pt"))->probe(images.data(), 4); });
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the model gives other outputs when it predicts the same images again");
  CHECK(error->detail() == "it draws random numbers (aten::rand)");
  CHECK(contains(error->hint(), "model.eval()"));
  CHECK(contains(error->hint(), "random: true"));
}

TEST_CASE("what makes a module's outputs change is found in its operators") {
  const TemporaryFolder folder;
  const auto why = [&](const std::string& forward) {
    save_script(folder / "m.pt", forward);
    return make_torch_model(script_request(folder / "m.pt", false))->why_unsteady();
  };
  CHECK(why(test::kDenseScript).empty());
  CHECK(why("return torch.dropout(torch.flatten(x, 1), 0.5, self.training)").empty());
  CHECK(why("return torch.dropout(torch.flatten(x, 1), 0.5, True)") == "it has aten::dropout in training mode");
  CHECK(why("return torch.flatten(torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, True), 1)") ==
        "it has aten::batch_norm in training mode");
  CHECK(why("return torch.flatten(x, 1) + torch.rand([1]) + torch.randn([1])") ==
        "it draws random numbers (aten::rand, aten::randn)");
  CHECK(why("self.bias.add_(1)\n    return torch.linear(torch.flatten(x, 1), self.weight, self.bias)") ==
        "it changes its buffers when it is called");
  CHECK(why("if self.training:\n        x = torch.dropout(x, 0.5, True)\n    return torch.flatten(x, 1)") ==
        "it has aten::dropout in training mode");  // though it is never reached: this explains and proves nothing
}

TEST_CASE("a random module draws the same numbers for the same seed and segment and others for others") {
  const TemporaryFolder folder;
  save_script(folder / "m.pt", "return torch.dropout(torch.flatten(x, 1), 0.5, True)[:, 0:40]");
  const std::vector<float> images = some_images(8);
  const auto predicted = [&](std::uint64_t seed, std::uint64_t segment, int batches_before = 0) {
    MemberRequest request = script_request(folder / "m.pt");
    std::get<TorchScriptModel>(request.model).random = true;
    request.seed = seed;
    const auto model = make_torch_model(request);
    for (int batch = 0; batch < batches_before; ++batch) model->probe(images.data(), 3);
    model->begin_segment(segment);
    return answers(*model, images, 8, 4);
  };
  const std::vector<float> once = predicted(1, 0);
  CHECK(predicted(1, 0) == once);
  CHECK(predicted(1, 0, 5) == once);  // whatever the process did before
  CHECK(predicted(2, 0) != once);
  CHECK(predicted(1, 8) != once);
}

}  // namespace
}  // namespace tutti::worker
