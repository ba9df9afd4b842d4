#include "tests/torch/requests.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "common/random.hpp"

namespace tutti::test {

MemberRequest request_for(ModelKind kind, std::uint64_t seed) {
  MemberRequest request;
  request.name = "member";
  request.model = std::move(kind);
  request.seed = seed;
  request.takes = {TakenTensor::unchanged(ImageShape{3, 32, 32}.layout())};
  request.batch_images = 8;
  return request;
}

MemberRequest script_request(const std::filesystem::path& file, bool optimize, const std::string& entry) {
  MemberRequest request = request_for(TorchScriptModel{file.string(), optimize});
  if (!entry.empty()) std::get<TorchScriptModel>(request.model).entries = {entry};
  request.over = OutputKind::logits;
  return request;
}

std::vector<float> some_images(std::size_t count, const ImageShape& shape) {
  std::vector<float> values(count * shape.elements());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = unit_float(random_at(99, i));
  return values;
}

std::vector<float> answers(worker::Model& model, std::span<const float> images, std::uint32_t count,
                           std::uint32_t batch) {
  const std::size_t elements = images.size() / count;
  std::vector<float> all;
  for (std::uint32_t first = 0; first < count; first += batch) {
    const auto part = model.probe(images.data() + first * elements, std::min(batch, count - first));
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace tutti::test
