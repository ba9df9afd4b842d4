// The networks of Tutti as graphs for other libraries have the weights that LibTorch gives them, to the bit.
#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "merge/safetensors.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/temporary_folder.hpp"
#include "tests/torch/requests.hpp"
#include "tests/torch/torch_doctest.hpp"
#include "worker/graph/network_graph.hpp"
#include "worker/torch/network.hpp"
#include "worker/torch/weights.hpp"

namespace tutti::worker {
namespace {

using test::contains;
using test::error_of;
using test::request_for;

/// Whether the graph has these bits under this name.
bool holds(const NetworkGraph& graph, const std::string& name, const at::Tensor& tensor) {
  const auto same = [&](const NetworkTensor& one) {
    const std::span<const float> values = graph.values_of(one);
    return one.name == name && at::IntArrayRef(one.sizes) == tensor.sizes() && values.size_bytes() == tensor.nbytes() &&
           std::memcmp(values.data(), tensor.const_data_ptr(), tensor.nbytes()) == 0;
  };
  return std::ranges::any_of(graph.weights, same);
}

void check_same_weights(const MemberRequest& request) {
  const NetworkGraph graph = network_graph(request);
  std::uint64_t values = 0;
  for (const auto& [name, tensor] : named_tensors(make_network(request))) {
    CAPTURE(name);
    CHECK(holds(graph, name, tensor));
    values += static_cast<std::uint64_t>(tensor.numel());
  }
  CHECK(graph.values.size() == values);
}

MemberRequest mlp_on(const Dims& dims, std::vector<std::uint32_t> layers, std::uint64_t seed) {
  MemberRequest request = request_for(MlpModel{std::move(layers)}, seed);
  request.takes = {TakenTensor::unchanged(TensorLayout{Dtype::float32, dims})};
  return request;
}

TEST_CASE("the weights of a seed are those of LibTorch") {
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{7}, (std::uint64_t{5} << 32) + 3}) {
    CAPTURE(seed);
    check_same_weights(request_for(SmallCnnModel{10}, seed));
    check_same_weights(mlp_on({3, 5}, {7, 4}, seed));
    check_same_weights(mlp_on({}, {2}, seed));
  }
}

TEST_CASE("the weights of a file are used and are checked as LibTorch's members check them") {
  const test::TemporaryFolder folder;
  const std::string file = (folder / "w.safetensors").string();
  MemberRequest request = mlp_on({6}, {4, 3}, 1);
  write_weights(file, named_tensors(make_network(request)), {});
  request.seed = 2;
  request.weights = file;
  check_same_weights(request);

  MemberRequest other = mlp_on({6}, {5, 3}, 1);
  other.weights = file;
  const auto ours = error_of([&] { network_graph(other); });
  const auto theirs = error_of([&] { make_network(other); });
  REQUIRE(ours);
  REQUIRE(theirs);
  CHECK(std::string(ours->what()) == theirs->what());

  NamedTensors broken = named_tensors(make_network(mlp_on({6}, {4, 3}, 1)));
  broken[1].second.fill_(std::numeric_limits<float>::quiet_NaN());
  write_weights(file, broken, {});
  const auto refused = error_of([&] { network_graph(request); });
  const auto refused_there = error_of([&] { make_network(request); });
  REQUIRE(refused);
  REQUIRE(refused_there);
  CHECK(std::string(refused->what()) == refused_there->what());
}

TEST_CASE("samples that a network does not take are refused") {
  MemberRequest request = request_for(SmallCnnModel{10});
  request.takes = {TakenTensor::unchanged(ImageShape{1, 28, 28}.layout())};
  const auto error = error_of([&] { network_graph(request); });
  REQUIRE(error);
  CHECK(error->message() == "small-cnn needs images of 3x32x32");
  CHECK(error->detail() == "these are 1x28x28");
  MemberRequest bytes = mlp_on({3}, {2}, 0);
  bytes.takes.front().seen.dtype = Dtype::uint8;
  const auto of_bytes = error_of([&] { network_graph(bytes); });
  REQUIRE(of_bytes);
  CHECK(of_bytes->message() == "an mlp needs float32");
  CHECK(of_bytes->detail() == "it would get uint8");
}

}  // namespace
}  // namespace tutti::worker
