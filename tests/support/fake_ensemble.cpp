#include "tests/support/fake_ensemble.hpp"

#include <algorithm>
#include <cmath>

#include "common/random.hpp"

namespace tutti::test {

config::EnsembleSpec fake_spec(std::size_t count) {
  config::EnsembleSpec spec;
  for (std::size_t rank = 0; rank < count; ++rank) {
    config::MemberSpec member;
    member.name = "m" + std::to_string(rank);
    member.model.kind = FakeModel{.classes = 4, .faults = {}};
    member.seed = 100 + rank;
    member.device = config::CpuDevice{};
    spec.members.push_back(member);
  }
  spec.input.shape = kShape;
  spec.train_input.shape = kShape;
  spec.segment_images = 8;
  spec.batch_images = 3;
  spec.slots = 2;
  return spec;
}

FakeModel& fake_model(config::EnsembleSpec& spec, std::size_t rank) {
  return std::get<FakeModel>(spec.members[rank].model.kind);
}

Spec published(const config::EnsembleSpec& spec) { return Spec(std::make_shared<config::EnsembleSpec>(spec)); }

std::vector<float> random_images(std::size_t count, std::uint64_t seed, ImageShape shape) {
  std::vector<float> pixels(count * shape.elements());
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = unit_float(random_at(seed, i));
  return pixels;
}

std::vector<float> naive_answer(const config::EnsembleSpec& spec, std::size_t rank, const std::vector<float>& images) {
  const config::MemberSpec& member = spec.members[rank];
  const std::uint32_t classes = std::get<FakeModel>(member.model.kind).classes;
  const std::size_t elements = spec.input.shape.elements();
  const bool softmax = member.output == OutputKind::logits && spec.combine.over == OutputKind::probabilities;
  std::vector<float> answer;
  for (std::size_t image = 0; image < images.size() / elements; ++image) {
    std::vector<float> row;
    for (std::uint32_t c = 0; c < classes; ++c) {
      float sum = unit_float(random_at(member.seed, c));
      for (std::size_t i = c; i < elements; i += classes) sum += images[image * elements + i];
      row.push_back(sum);
    }
    if (softmax) {
      const float top = *std::max_element(row.begin(), row.end());
      float total = 0;
      for (const float value : row) total += std::exp(value - top);
      for (float& value : row) value = std::exp(value - top) / total;
    }
    answer.insert(answer.end(), row.begin(), row.end());
  }
  return answer;
}

std::vector<float> naive_mean(const config::EnsembleSpec& spec, const std::vector<float>& images) {
  std::vector<float> sum;
  for (std::size_t rank = 0; rank < spec.members.size(); ++rank) {
    const std::vector<float> answer = naive_answer(spec, rank, images);
    sum.resize(answer.size(), 0.0F);
    for (std::size_t i = 0; i < answer.size(); ++i) sum[i] += answer[i];
  }
  for (float& value : sum) value /= static_cast<float>(spec.members.size());
  return sum;
}

void ListSource::read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) {
  const std::size_t elements = shape_.elements();
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::copy_n(pixels_.begin() + static_cast<std::ptrdiff_t>(indices[i] * elements), elements,
                pixels.begin() + static_cast<std::ptrdiff_t>(i * elements));
    if (!labels.empty()) labels[i] = labels_[indices[i]];
  }
}

void ListSink::write(const SegmentResult& result) {
  firsts.push_back(result.first);
  values.insert(values.end(), result.values.begin(), result.values.end());
  labels.insert(labels.end(), result.labels.begin(), result.labels.end());
  members.resize(result.members.size());
  for (std::size_t rank = 0; rank < members.size(); ++rank)
    members[rank].insert(members[rank].end(), result.members[rank].values.begin(), result.members[rank].values.end());
}

}  // namespace tutti::test
