// Descriptions, images and labels of runs whose labels are not one class per image. For tests only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "common/random.hpp"
#include "images/npy_reader.hpp"
#include "tests/integration/programs.hpp"

namespace tutti::test {

constexpr std::uint64_t kImages = 40;

/// Two members of 3 classes x 2 x 5 over 40 images, with the labels of y.npy.
inline std::string described(const std::string& combine, const std::string& output = "logits",
                             const std::string& input = "") {
  std::string text = "members:\n";
  for (const char* name : {"a", "b"})
    text += std::string("  - {name: ") + name +
            ", model: {kind: fake, classes: 3, per_class: [2, 5]}, output: " + output + "}\n";
  return text + "combine: " + combine + "\ninput: {dataset: npy, images: x.npy, labels: y.npy" + input +
         "}\nsegment_images: 8\nbatch_images: 4\nsave_members: true\n";
}

template <class Value>
void write_npy(const std::filesystem::path& file, std::vector<std::uint64_t> shape, const std::vector<Value>& values) {
  shape.insert(shape.begin(), kImages);
  images::NpyWriter writer(file, std::is_same_v<Value, float> ? images::NpyType::float32 : images::NpyType::int64,
                           shape);
  writer.write(std::span<const Value>(values));
  writer.finish();
}

inline std::vector<float> floats_in(const Workplace& place, const std::string& file) {
  const images::NpyReader reader(place / file, images::NpyType::float32);
  std::vector<float> values(reader.rows() * reader.width());
  reader.read(0, values);
  return values;
}

/// The images of every description here.
inline void write_images(const Workplace& place) {
  std::vector<float> pixels(kImages * 18);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = 3 * unit_float(random_at(5, i));
  write_npy(place / "x.npy", {2, 3, 3}, pixels);
}

/// Of 40 x 2 x 5 places; 255 does not count.
inline std::vector<std::int64_t> mask_labels() {
  std::vector<std::int64_t> labels(kImages * 10);
  for (std::size_t i = 0; i < labels.size(); ++i)
    labels[i] = random_at(6, i) % 7 == 0 ? 255 : static_cast<std::int64_t>(random_at(7, i) % 3);
  return labels;
}

inline std::vector<float> number_labels() {
  std::vector<float> labels(kImages * 30);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = 4 * unit_float(random_at(8, i));
  return labels;
}

inline std::vector<float> several_labels() {
  std::vector<float> labels(kImages * 30);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = random_at(9, i) % 3 == 0 ? 1.0F : 0.0F;
  return labels;
}

inline const std::string kNumbers = described("{rule: median, over: values}", "values");
inline const std::string kSeveral = described("{rule: mean, activation: sigmoid}");

}  // namespace tutti::test
