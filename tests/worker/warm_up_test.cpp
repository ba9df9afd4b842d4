// The warm-up: how often it calls a model, on which images, and which models it rejects.
#include "worker/warm_up.hpp"

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <stdexcept>
#include <vector>

#include "tests/common/error_of.hpp"
#include "tests/worker/requests.hpp"

namespace tutti::test {
namespace {

/// Counts its calls; outputs `values(count)` values for `count` images.
class Counting final : public worker::Model {
 public:
  explicit Counting(std::size_t (*values)(std::uint32_t)) : values_(values) {}
  Dims output() const override { return {10}; }
  std::uint64_t parameters() const override { return 0; }
  void predict(const worker::Samples&, std::uint32_t, std::span<float>) override {
    throw std::logic_error("not in warm-up");
  }
  std::span<const float> probe(const worker::Samples& samples, std::uint32_t count) override {
    ++calls[count];
    order.push_back(count);
    for (std::size_t i = 0; i < count * 18U; ++i) sum += samples.floats()[i];
    answer_.assign(values_(count), 0.0F);
    return answer_;
  }
  void end_warm_up() override { calls_before_end = order.size(); }

  std::map<std::uint32_t, int> calls;
  std::size_t calls_before_end = 0;
  std::vector<std::uint32_t> order;
  float sum = 0;

 private:
  std::size_t (*values_)(std::uint32_t);
  std::vector<float> answer_;
};

std::size_t ten_each(std::uint32_t count) { return count * 10U; }

std::string refusal(std::size_t (*values)(std::uint32_t)) {
  MemberRequest request = fake_request();
  request.model = TorchScriptModel{"m.pt"};
  Counting model(values);
  try {
    worker::warm_up(model, request, -1);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.message();
  }
  return "accepted";
}

TEST_CASE("a model whose code is known is called once with few images and on a GPU with every size too") {
  MemberRequest request = fake_request();
  request.warm_up_batches = {1, 2, 2};
  Counting model(ten_each);
  const worker::WarmUp warm = worker::warm_up(model, request, -1);
  CHECK(warm.output == Dims{10});
  CHECK(warm.batch_seconds > 0);
  CHECK(model.calls == std::map<std::uint32_t, int>{{2, 1}});
  CHECK(model.sum > 0);
  request.cuda = true;
  Counting on_gpu(ten_each);
  worker::warm_up(on_gpu, request, -1);
  CHECK(on_gpu.order == std::vector<std::uint32_t>{2, 3, 1, 2, 2});
}

TEST_CASE("a program is called twice with one image and once with two") {
  MemberRequest request = fake_request();
  request.model = TorchScriptModel{"m.pt"};
  for (const std::uint32_t full : {1U, 2U, 3U, 500U}) {
    request.batch_images = full;
    Counting model(ten_each);
    worker::warm_up(model, request, -1);
    CHECK(model.order == std::vector<std::uint32_t>{1, 1, 2});
    CHECK(model.calls_before_end == 3);
  }
}

/// The number of the call, and of the images, as outputs of each image.
class Scripted final : public worker::Model {
 public:
  explicit Scripted(float (*value)(int call, std::uint32_t count, const float* images)) : value_(value) {}
  Dims output() const override { return {1}; }
  std::uint64_t parameters() const override { return 0; }
  void predict(const worker::Samples&, std::uint32_t, std::span<float>) override {
    throw std::logic_error("not in warm-up");
  }
  std::string why_unsteady() const override { return "it has a reason"; }
  std::span<const float> probe(const worker::Samples& samples, std::uint32_t count) override {
    counts.push_back(count);
    answer_.assign(count, value_(static_cast<int>(counts.size()), count, samples.floats()));
    return answer_;
  }

  std::vector<std::uint32_t> counts;

 private:
  float (*value_)(int, std::uint32_t, const float*);
  std::vector<float> answer_;
};

MemberRequest program_request(ModelKind kind = TorchScriptModel{"m.pt"}) {
  MemberRequest request = fake_request();
  request.model = std::move(kind);
  request.warm_up_batches = {};
  return request;
}

std::optional<Error> judged(Scripted model, const MemberRequest& request) {
  return error_of([&] { worker::warm_up(model, request, -1); });
}

TEST_CASE("a model may change its bits after the first call and never again") {
  Scripted settles([](int call, std::uint32_t, const float*) { return call == 1 ? 1.0F : 1.5F; });
  worker::warm_up(settles, program_request(), -1);
  CHECK(settles.counts == std::vector<std::uint32_t>{1, 1, 1, 2});
  const auto error = judged(Scripted([](int call, std::uint32_t, const float*) { return static_cast<float>(call); }),
                            program_request());
  REQUIRE(error);
  CHECK(error->kind() == ErrorKind::usage);
  CHECK(error->message() == "the model gives other outputs when it predicts the same images again");
  CHECK(error->detail() == "it has a reason");
  CHECK(contains(error->hint(), "model.eval()"));
  CHECK(contains(error->hint(), "'random: true'"));
}

TEST_CASE("a model whose outputs depend on the batch is rejected") {
  for (const std::uint32_t full : {1U, 3U}) {
    MemberRequest request = program_request(AotiModel{{"m.pt2"}});
    request.batch_images = full;
    const auto error =
        judged(Scripted([](int, std::uint32_t count, const float*) { return static_cast<float>(count); }), request);
    REQUIRE(error);
    CHECK(error->message() == "the model's outputs for an image depend on the other images of its batch");
    CHECK_FALSE(contains(error->hint(), "random: true"));  // which this kind does not have
  }
}

TEST_CASE("the last bits of an output may depend on the batch") {
  CHECK_FALSE(judged(Scripted([](int, std::uint32_t count, const float*) { return count == 1 ? 1.0F : 1.01F; }),
                     program_request()));
}

TEST_CASE("a model that takes only one batch size is called with that one") {
  Scripted whole([](int, std::uint32_t count, const float*) {
    if (count != 3) throw Error(ErrorKind::usage, "a batch of 3 is needed");
    return 1.0F;
  });
  worker::warm_up(whole, program_request(), -1);
  CHECK(whole.counts == std::vector<std::uint32_t>{1, 3, 3});
  MemberRequest with_rest = program_request();
  with_rest.warm_up_batches = {2};
  const auto error = judged(whole, with_rest);  // said now, and not in the last segment
  REQUIRE(error);
  CHECK(error->message() == "a batch of 3 is needed");
  MemberRequest single = program_request();
  single.batch_images = 1;
  Scripted one([](int, std::uint32_t count, const float*) {
    if (count != 1) throw Error(ErrorKind::usage, "a batch of 1 is needed");
    return 1.0F;
  });
  worker::warm_up(one, single, -1);
  CHECK(one.counts == std::vector<std::uint32_t>{1, 1, 2});
}

TEST_CASE("a model that needs several images because it is in training mode is rejected with its words") {
  const auto error = judged(Scripted([](int, std::uint32_t count, const float*) {
                              if (count == 1) throw Error(ErrorKind::usage, "failed", "per channel when training");
                              return 1.0F;
                            }),
                            program_request());
  REQUIRE(error);
  CHECK(error->message() == "failed");
}

TEST_CASE("models that are random on purpose and kinds that hold no program are not judged") {
  const auto by_call = [](int call, std::uint32_t, const float*) { return static_cast<float>(call); };
  TorchScriptModel random{"m.pt"};
  random.random = true;
  CHECK_FALSE(judged(Scripted(by_call), program_request(random)));
  CHECK_FALSE(judged(Scripted(by_call), program_request(FakeModel{})));
}

TEST_CASE("the images of the warm-up differ in brightness so that statistics of a batch show") {
  MemberRequest request = program_request();
  Scripted model([](int, std::uint32_t count, const float* images) {
    float sums[2] = {0, 0};
    for (std::size_t i = 0; i < 2 * 18U && count > 1; ++i) sums[i / 18] += images[i];
    CHECK(sums[1] >= 3 * sums[0]);
    return 1.0F;
  });
  worker::warm_up(model, request, -1);
}

TEST_CASE("a model whose width changes with the batch is rejected") {
  CHECK(refusal([](std::uint32_t count) { return std::size_t{count} * (count == 1 ? 9 : 10); }) ==
        "the model gives 20 values for 2 images; it must give the same number for each image");
}

TEST_CASE("a model that does not treat each image alike is rejected") {
  CHECK(refusal([](std::uint32_t) { return std::size_t{10}; }) ==
        "the model gives 10 values for 2 images; it must give the same number for each image");
}

TEST_CASE("a model that outputs nothing is rejected") {
  CHECK(refusal([](std::uint32_t) { return std::size_t{0}; }) ==
        "the model gives 0 values for 3 images; it must give the same number for each image");
}

}  // namespace
}  // namespace tutti::test
