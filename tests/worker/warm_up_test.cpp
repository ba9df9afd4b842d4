// The warm-up: how often it calls a model, on which images, and which models it rejects.
#include "worker/warm_up.hpp"

#include <doctest/doctest.h>

#include <map>
#include <stdexcept>
#include <vector>

#include "tests/worker/requests.hpp"

namespace tutti::test {
namespace {

/// Counts its calls; outputs `values(count)` values for `count` images.
class Counting final : public worker::Model {
 public:
  explicit Counting(std::size_t (*values)(std::uint32_t)) : values_(values) {}
  std::uint32_t width() const override { return 0; }
  std::uint64_t parameters() const override { return 0; }
  void predict(const float*, std::uint32_t, std::span<float>) override { throw std::logic_error("not in warm-up"); }
  std::span<const float> probe(const float* images, std::uint32_t count) override {
    ++calls[count];
    order.push_back(count);
    for (std::size_t i = 0; i < count * 18U; ++i) sum += images[i];
    answer_.assign(values_(count), 0.0F);
    return answer_;
  }

  std::map<std::uint32_t, int> calls;
  std::vector<std::uint32_t> order;
  float sum = 0;

 private:
  std::size_t (*values_)(std::uint32_t);
  std::vector<float> answer_;
};

std::size_t ten_each(std::uint32_t count) { return count * 10U; }

std::string refusal(std::size_t (*values)(std::uint32_t), std::vector<std::uint32_t> batches) {
  MemberRequest request = fake_request();
  request.warm_up_batches = std::move(batches);
  Counting model(values);
  try {
    worker::warm_up(model, request, -1);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "accepted";
}

TEST_CASE("every batch size is called three times and the full batch is always one of them") {
  MemberRequest request = fake_request();
  request.warm_up_batches = {1, 2, 2};
  Counting model(ten_each);
  const worker::WarmUp warm = worker::warm_up(model, request, -1);
  CHECK(warm.width == 10);
  CHECK(warm.batch_seconds > 0);
  CHECK(model.calls == std::map<std::uint32_t, int>{{1, 3}, {2, 3}, {3, 3}});
  CHECK(model.order.front() == 3);
  CHECK(model.sum > 0);
}

TEST_CASE("a model whose width changes with the batch is rejected") {
  CHECK(refusal([](std::uint32_t count) { return std::size_t{count} * (count == 1 ? 9 : 10); }, {1}) ==
        "the model gives 9 values for 1 image; it must give the same number for each image");
}

TEST_CASE("a model that does not treat each image alike is rejected") {
  CHECK(refusal([](std::uint32_t) { return std::size_t{10}; }, {}) ==
        "the model gives 10 values for 3 images; it must give the same number for each image");
}

TEST_CASE("a model that outputs nothing is rejected") {
  CHECK(refusal([](std::uint32_t) { return std::size_t{0}; }, {}) ==
        "the model gives 0 values for 3 images; it must give the same number for each image");
}

}  // namespace
}  // namespace tutti::test
