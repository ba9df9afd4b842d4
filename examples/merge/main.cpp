// Trains three members side by side, makes one of their weights, and predicts with it. The members are `fake` ones,
// which learn without LibTorch: how often each class occurs.
//
//   merge OUTPUT         the folder for the weights
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <tutti/merging.hpp>

namespace {

constexpr tutti::ImageShape kShape{1, 2, 2};

/// 60 grey images; two of three show class 1.
class Grey final : public tutti::Source {
 public:
  std::string name() const override { return "grey images"; }
  tutti::ImageShape shape() const override { return kShape; }
  std::uint64_t count() const override { return 60; }
  std::uint32_t classes() const override { return 2; }
  bool labelled() const override { return true; }
  void read(std::span<const std::uint64_t> indices, std::span<float> pixels, std::span<std::int64_t> labels) override {
    for (float& pixel : pixels) pixel = 0.5F;
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = indices[i] % 3 == 0 ? 0 : 1;
  }
};

tutti::EnsembleSpec three_members() {
  tutti::EnsembleSpec value;
  for (std::uint64_t rank = 0; rank < 3; ++rank) {
    tutti::MemberSpec& member = value.members.emplace_back();
    member.name = "m" + std::to_string(rank);
    member.model.kind = tutti::FakeModel{.classes = 2};
    member.device = tutti::CpuDevice{};
    member.seed = rank;
  }
  value.input.shape = kShape;
  value.segment_images = 20;
  return value;
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 2) {
    std::fprintf(stderr, "usage: merge OUTPUT\n");
    return 2;
  }
  const std::filesystem::path output = arguments[1];
  tutti::EnsembleSpec value = three_members();
  tutti::Options training;
  training.training = true;
  Grey images;
  std::filesystem::create_directories(output);
  tutti::Ensemble(tutti::Spec(value), training).train(images, output);

  for (tutti::MemberSpec& member : value.members) member.model.weights = output / (member.name + ".safetensors");
  value.merge = tutti::MergeSpec{.method = tutti::MergeMethod::average};
  value.output = output / "merged";
  const tutti::Merged merged = tutti::merge_weights(tutti::Spec(value));
  std::printf("%d members became %s\n", static_cast<int>(merged.over.size()), merged.weights.c_str());

  value.members.resize(1);
  value.members[0].model.weights = merged.model;
  value.merge.reset();
  tutti::Ensemble one{tutti::Spec(value)};
  const std::vector<float> pixels(kShape.elements(), 0.5F);
  std::printf("class %d\n", static_cast<int>(one.predict(tutti::Images(pixels, kShape)).predicted[0]));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
