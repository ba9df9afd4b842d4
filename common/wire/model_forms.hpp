// What the value of a field of a model may be (common/wire/model_kinds.hpp), and the types of fields that need one of
// their own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/values.hpp"

namespace tutti {

/// What computes a model.
enum class Library : std::uint8_t { none, torch, onnxruntime, openvino, python };

constexpr auto enum_names(ComputedBy) {
  return std::array{EnumName{ComputedBy::torch, "torch"}, EnumName{ComputedBy::openvino, "openvino"},
                    EnumName{ComputedBy::onnxruntime, "onnxruntime"}};
}
constexpr Library library_of(ComputedBy by) {
  switch (by) {
    case ComputedBy::torch:
      return Library::torch;
    case ComputedBy::openvino:
      return Library::openvino;
    case ComputedBy::onnxruntime:
      break;
  }
  return Library::onnxruntime;
}

/// What the value of a field is, and which values it may have.
namespace form {

struct Whole {
  std::uint64_t least;
  std::uint64_t most;
};
/// Time that a model spends on purpose. It changes no prediction.
struct Delay {
  std::uint64_t most;
  std::string_view in_thousands{};  ///< another key of the same delay, in units that are a thousand times larger
};
struct Flag {};
/// One of the names of an enumeration.
struct Choice {};
/// None, one text, or a list of them.
struct Texts {
  std::size_t most;
};
/// A file or a folder. `needed` says what it is, for those who leave it out; empty: it may be left out.
struct Path {
  std::string_view needed{};
  bool folder = false;
};
/// One file or a list of them.
struct Paths {
  std::string_view needed;
  std::size_t most;
};
/// A list of layers.
struct Widths {
  std::string_view needed;
  std::size_t most_layers;
};
/// Consecutive layers of a network, or all.
struct Layers {};
/// A list of sizes, which may be left out.
struct Sizes {
  std::size_t most;
};
/// A list of ScriptedFault. Only those that change what the model outputs change a prediction.
struct Faults {
  std::size_t most;
};

/// A function in a Python module: "my_models:make" or "folder/my_models.py:make".
struct Factory {
  std::string_view needed;
};
/// A map with what a function is called with.
struct Call {};
/// A Python interpreter: its file, its environment's folder, or its name. Its version is looked at when it runs.
struct Interpreter {};
/// The folder where modules are looked for; by default that of the description. What is found there counts.
struct ModuleFolder {};
/// A folder where something is kept that makes the next start faster, and changes no prediction. It need not exist.
struct CacheFolder {};

// ---- only of steps (common/wire/steps.hpp)

/// An axis of a prediction (common/axis.hpp).
struct Axis {};
/// Any number that fits float32.
struct Number {};
/// A number for all channels, or one for each; or none.
struct Channels {
  bool positive;  ///< above 0
};
/// Several keys: those of `input` that say how images are resized and cropped.
struct Resizing {};

}  // namespace form

}  // namespace tutti
