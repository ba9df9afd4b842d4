// Embeds an ensemble in a program: two members that take 2 and 3 seconds for a batch need about 3 s together, since
// each has its own process. They are `fake` members, which compute without LibTorch.
#include <chrono>
#include <cstdio>
#include <exception>
#include <vector>

#include <tutti/ensemble.hpp>

int main() try {
  tutti::Ensemble ensemble(tutti::parse_spec(R"(
    members:
      - {name: two-seconds, model: {kind: fake, classes: 3, delay_ms: 2000}}
      - {name: three-seconds, model: {kind: fake, classes: 3, delay_ms: 3000}}
    assignment: {two-seconds: cpu, three-seconds: cpu}
    input: {dataset: random, count: 4, shape: [3, 32, 32]}
    segment_images: 4
    batch_images: 4
  )"));

  const tutti::ImageShape shape{3, 32, 32};
  const std::vector<float> pixels(4 * shape.elements(), 0.5F);
  const auto start = std::chrono::steady_clock::now();
  const tutti::Predictions answer = ensemble.predict(tutti::Images(pixels, shape));
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;

  for (std::uint64_t image = 0; image < answer.count; ++image) {
    std::printf("image %d: class %d\n", static_cast<int>(image), static_cast<int>(answer.predicted[image]));
  }
  std::printf("predicted in %.1f s\n", elapsed.count());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
