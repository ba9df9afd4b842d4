// Builds the description of an ensemble instead of reading one from YAML, changes it, and predicts. The members are
// `fake` ones, which compute without LibTorch.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

namespace {

tutti::MemberSpec member(const std::string& name, std::uint64_t seed) {
  tutti::MemberSpec member;
  member.name = name;
  member.model.kind = tutti::FakeModel{.classes = 3};
  member.device = tutti::CpuDevice{};
  member.seed = seed;
  return member;
}

}  // namespace

int main() try {
  tutti::EnsembleSpec value;
  for (std::uint64_t rank = 0; rank < 3; ++rank) value.members.push_back(member("m" + std::to_string(rank), rank));
  value.combine.rule = tutti::CombineRule::weighted;
  value.input.shape = {3, 8, 8};

  value.members[2].name = "m1";  // a mistake
  try {
    const tutti::Spec wrong(value);
  } catch (const tutti::Error& error) {
    std::printf("refused: %s\n", error.message().c_str());
  }

  value.members[2].name = "m2";
  value.members[2].weight = 0.5;
  const tutti::Spec spec(value);
  std::printf("%s", spec.yaml().substr(0, spec.yaml().find('\n') + 1).c_str());
  tutti::Ensemble ensemble(spec);
  const tutti::ImageShape shape = spec.checked().input.shape;
  const std::vector<float> pixels(2 * shape.elements(), 0.5F);
  const tutti::Predictions p = ensemble.predict(tutti::Images(pixels, shape));
  std::printf("%d images: class %d, class %d\n", static_cast<int>(p.count), static_cast<int>(p.predicted[0]),
              static_cast<int>(p.predicted[1]));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
