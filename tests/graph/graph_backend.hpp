// Members whose models are graphs in files, computed by a library that the user installs: what the tests of every such
// kind share. The models are those of tests/onnx/make_models.py. For tests only.
#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/wire/member_request.hpp"
#include "tests/common/error_of.hpp"
#include "tests/common/sanitized.hpp"
#include "worker/model.hpp"

namespace tutti::test {

/// The backend under test: each program defines it.
struct GraphBackend {
  const char* library;  ///< "ONNX Runtime"
  void (*open)();       ///< throws if there is none
  ModelKind (*kind)(const std::string& path, const std::vector<std::string>& entries);
  std::unique_ptr<worker::Model> (*make)(const MemberRequest& request);
  ComputedBy by;          ///< of networks of Tutti
  bool sanitized = true;  ///< it runs in a program with a sanitizer
};
extern const GraphBackend kBackend;

using Floats = std::vector<float>;

inline const TensorLayout kImage{Dtype::float32, {3, 2, 2}};

// Of two images() by the model `dense`, by NumPy: x @ w + b.
inline const Floats kDense{0.1484375F, 1.453125F, -2.4296875F, -0.7890625F, 4.078125F, -10.4921875F};

/// Whether the library cannot be used here; says so.
inline bool skipped() {
  if (kSanitized && !kBackend.sanitized) {
    std::printf("SKIPPED: %s does not run in a program with a sanitizer\n", kBackend.library);
    return true;
  }
  if (!error_of([] { kBackend.open(); })) return false;
  std::printf("SKIPPED: no %s was found\n", kBackend.library);
  return true;
}

/// One of the committed models.
std::string file(const std::string& name);

/// A member whose model is in that file.
inline MemberRequest request_of(const std::string& path, const std::string& output = {}) {
  MemberRequest request;
  request.name = "m0";
  request.model = kBackend.kind(path, output.empty() ? std::vector<std::string>() : std::vector{output});
  request.takes = {TakenTensor::unchanged(kImage)};
  request.batch_images = 4;
  request.over = OutputKind::logits;
  return request;
}
inline MemberRequest request_for(const std::string& name, const std::string& output = {}) {
  return request_of(file(name), output);
}

/// `count` images whose values are 0, 1/8, 2/8, ...
inline Floats images(std::size_t count) {
  Floats values(count * kImage.elements());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 8;
  return values;
}

/// The same images with their channels last, as if they were images of such a shape.
inline Floats turned_images(std::size_t count) {
  const Floats straight = images(count);
  Floats turned(straight.size());
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t p = 0; p < 4; ++p) turned[i * 12 + p * 3 + c] = straight[i * 12 + c * 4 + p];
  return turned;
}

/// What the model predicts, after the warm-up that a worker does.
inline Floats predictions(const MemberRequest& request, const worker::Samples& samples, std::uint32_t count) {
  const std::unique_ptr<worker::Model> model = kBackend.make(request);
  model->probe(samples, count);
  Floats output(count * elements_of(model->output()));
  model->predict(samples, count, output);
  return output;
}
inline Floats predictions(const MemberRequest& request, std::uint32_t count) {
  return predictions(request, images(count).data(), count);
}

inline std::vector<std::string> notes_of(const MemberRequest& request, std::uint32_t count = 4) {
  const std::unique_ptr<worker::Model> model = kBackend.make(request);
  model->probe(images(count).data(), count);
  return model->notes();
}

inline Error refusal(const MemberRequest& request, std::uint32_t count = 4) {
  const auto error = error_of([&] { predictions(request, count); });
  REQUIRE(error);
  return *error;
}

}  // namespace tutti::test
