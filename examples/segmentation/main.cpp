// An ensemble of segmentation networks: the class of every pixel, and where the networks disagree.
//
//   segmentation                       two `fake` networks, which compute without LibTorch
//   segmentation FILE 3 24 48          those of a description whose members output classes x height x width, for
//                                      an image of so many channels, rows and columns
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

namespace {

constexpr const char* kYaml = R"(
  members:
    - {name: a, model: {kind: fake, classes: 3, per_class: [12, 24]}}
    - {name: b, model: {kind: fake, classes: 3, per_class: [12, 24]}, weight: 2}
  assignment: cpu
  combine: {rule: weighted, over: probabilities, spread: true}
  input: {shape: [3, 24, 48]}
)";

std::uint32_t number(const char* text) { return static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10)); }

/// An image that is darker to the right and has noise.
std::vector<float> picture(tutti::ImageShape shape) {
  std::vector<float> pixels(shape.elements());
  for (std::size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = 1.0F - static_cast<float>(i % shape.width) / static_cast<float>(shape.width) +
                0.1F * std::sin(static_cast<float>(i));
  return pixels;
}

/// A mask as text: a letter for each class.
void print_mask(const std::int64_t* classes, std::size_t height, std::size_t width) {
  for (std::size_t y = 0; y < height; ++y) {
    std::string line;
    for (std::size_t x = 0; x < width; ++x) line += static_cast<char>('a' + classes[y * width + x]);
    std::printf("%s\n", line.c_str());
  }
}

}  // namespace

int main(int count, char** arguments) try {
  tutti::ImageShape shape{3, 24, 48};
  if (count == 5) shape = {number(arguments[2]), number(arguments[3]), number(arguments[4])};
  tutti::Ensemble ensemble(count == 5 ? tutti::load_spec(arguments[1]) : tutti::parse_spec(kYaml));
  const std::vector<float> pixels = picture(shape);
  const tutti::Predictions p = ensemble.predict(tutti::Images(pixels, shape));
  if (p.shape.size() != 3) {
    std::fprintf(stderr, "the members output %s, not classes x height x width\n", tutti::dims_text(p.shape).c_str());
    return 1;
  }
  std::printf("1 mask of %s\n", tutti::dims_text(p.shape).c_str());
  print_mask(p.predicted.data(), p.shape[1], p.shape[2]);
  if (!p.spread.empty()) {
    const auto most = std::max_element(p.spread.begin(), p.spread.end());
    const auto place = static_cast<std::size_t>(most - p.spread.begin());
    std::printf("least sure in row %zu, column %zu: entropy %.3f\n", place / p.shape[2], place % p.shape[2], *most);
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
