// Several outputs of a model, joined into one row for each image.
#include <fmt/format.h>
#include <fmt/ranges.h>

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

TEST_CASE("several entries are joined into one row for each image in the order of their names") {
  const TemporaryFolder folder;
  const std::string flat = "torch.flatten(x, 1)";
  const std::string logits = flat + "[:, 5:8]";
  const std::string boxes = flat + "[:, 0:8].reshape(-1, 2, 4)";
  const std::string price = "x[:, 0, 0, 0]";
  save_script(folder / "plain.pt",
              "return torch.cat([" + boxes + ".flatten(1), " + price + ".unsqueeze(1), " + logits + "], 1)");
  save_script(folder / "dict.pt", "return {'logits': " + logits + ", 'boxes': " + boxes + ", 'price': " + price + "}");
  save_script(folder / "tuple.pt", "return " + logits + ", " + boxes + ".double(), " + price);
  const std::vector<float> images = some_images(4);
  const auto expected = answers(*make_torch_model(script_request(folder / "plain.pt")), images, 4, 4);
  for (const bool optimize : {false, true})
    for (const auto& [file, entries] : {std::pair{"dict.pt", std::vector<std::string>{"boxes", "price", "logits"}},
                                        std::pair{"tuple.pt", std::vector<std::string>{"1", "2", "0"}}}) {
      CAPTURE(file);
      MemberRequest request = script_request(folder / file, optimize);
      std::get<TorchScriptModel>(request.model).entries = entries;
      request.output = request.over = OutputKind::values;
      const auto model = make_torch_model(request);
      CHECK(answers(*model, images, 4, 4) == expected);
      CHECK(answers(*model, images, 4, 3) == expected);
      CHECK(model->output() == Dims{12});
      const std::vector<NamedLayout> parts = model->parts();
      CHECK((parts == std::vector<NamedLayout>{{entries[0], {Dtype::float32, {2, 4}}},
                                               {entries[1], {Dtype::float32, {}}},
                                               {entries[2], {Dtype::float32, {3}}}}));
      CHECK(contains(fmt::format("{}", fmt::join(model->notes(), "; ")),
                     fmt::format("it joins outputs into one row: {} (2x4) from value 0, {} (1) from value 8, {} (3) "
                                 "from value 9",
                                 entries[0], entries[1], entries[2])));
    }
}

TEST_CASE("entries that cannot be joined are named") {
  const TemporaryFolder folder;
  const auto error_with = [&](const std::string& other) {
    save_script(folder / "m.pt", "return {'a': torch.flatten(x, 1), 'b': " + other + "}");
    MemberRequest request = script_request(folder / "m.pt");
    std::get<TorchScriptModel>(request.model).entries = {"a", "b"};
    request.output = request.over = OutputKind::values;
    return error_of([&] { make_torch_model(request)->probe(some_images(4).data(), 4); });
  };
  for (const auto& [other, detail] :
       {std::pair{"x[1:]",
                  "its shape is [3, 3, 32, 32] and its type Float, and its first axis must count the same "
                  "samples as that of the others"},
        std::pair{"x.sum()",
                  "its shape is [] and its type Float, and its first axis must count the same samples as "
                  "that of the others"},
        std::pair{"x.argmax(1)",
                  "its shape is [4, 32, 32] and its type Long, and scores or other floats are needed"}}) {
    const auto error = error_with(other);
    REQUIRE(error);
    CHECK(error->kind() == ErrorKind::usage);
    CHECK(error->message() == "'b' of the model's output cannot be joined to the others");
    CHECK(error->detail() == detail);
    CHECK(error->hint() == "leave it out of 'output' in 'model'");
  }
  CHECK(contains(error_with("3")->message(), "of type int, not a tensor"));
}

}  // namespace
}  // namespace tutti::worker
