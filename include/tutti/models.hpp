// The kinds of models that a member may have, as docs/models.md describes them. Plain values, whose fields have the
// names of the keys in YAML.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <tutti/choices.hpp>
#include <tutti/tensor.hpp>

namespace tutti {

/// What the factory of a Python member is called with: names and values as a JSON object.
struct Arguments {
  std::string json = "{}";  ///< the text of the object
  friend bool operator==(const Arguments&, const Arguments&) = default;
};

/// Three convolutions and two dense layers.
struct SmallCnnModel {
  std::uint32_t classes = 10;              ///< that it outputs
  ComputedBy backend = ComputedBy::torch;  ///< what computes it
  friend bool operator==(const SmallCnnModel&, const SmallCnnModel&) = default;
};

/// Consecutive layers of a network: a shard of it. The others are not loaded.
struct LayerRange {
  std::uint32_t from = 0;  ///< the first layer, which takes what the one before it outputs; 0: it takes the samples
  std::uint32_t to = 0;    ///< the layer behind the last one, whose input is output; 0: up to the network's output

  /// For Tutti itself: of an `mlp` that starts from its seed, the values that the first layer of the whole takes; 0:
  /// not known.
  std::uint64_t inputs = 0;

  /// Whether it is all layers.
  bool whole() const { return from == 0 && to == 0; }
  friend bool operator==(const LayerRange&, const LayerRange&) = default;
};

/// Dense layers.
struct MlpModel {
  std::vector<std::uint32_t> layers{};     ///< hidden widths, then the number of classes
  ComputedBy backend = ComputedBy::torch;  ///< what computes it
  LayerRange part{};                       ///< the layers that are computed; all by default
  friend bool operator==(const MlpModel&, const MlpModel&) = default;
};

/// Any module that torch.jit.save wrote.
struct TorchScriptModel {
  std::string path{};    ///< the file that torch.jit.save wrote
  bool optimize = true;  ///< LibTorch may fuse its operations

  /// Of a tuple ("0") or a dict ("pooler_output") that the model outputs; none: it outputs a tensor. Several are joined
  /// into one row of values.
  std::vector<std::string> entries{};
  bool random = false;  ///< draws random numbers on purpose: from the member's seed, again for each segment
  friend bool operator==(const TorchScriptModel&, const TorchScriptModel&) = default;
};

/// Packages of AOTInductor (.pt2), of one model: one for any batch, or several for fixed ones.
struct AotiModel {
  std::vector<std::string> paths{};    ///< of the packages
  std::vector<std::string> entries{};  ///< as of a TorchScriptModel
  friend bool operator==(const AotiModel&, const AotiModel&) = default;
};

/// Any ONNX model.
struct OnnxFileModel {
  std::string path{};                  ///< the .onnx file
  std::vector<std::string> entries{};  ///< the name of one of several outputs; none: it has one
  friend bool operator==(const OnnxFileModel&, const OnnxFileModel&) = default;
};

/// Any model of a format that OpenVINO reads.
struct OpenVinoModel {
  std::string path{};                    ///< a file, or the folder of a SavedModel
  std::vector<std::string> entries{};    ///< as of an OnnxFileModel
  std::uint32_t streams = 1;             ///< parts of a batch that are computed at the same time
  Precision precision = Precision::f32;  ///< in which it is computed, unless its file says it for a part
  std::string cache{};                   ///< the folder where the compiled model is kept; empty: nowhere
  friend bool operator==(const OpenVinoModel&, const OpenVinoModel&) = default;
};

/// Whatever a Python function makes: its worker is a process of that Python.
struct PythonModel {
  std::string factory{};  ///< "my_models:make" or "folder/my_models.py:make"
  Arguments arguments{};  ///< that the factory is called with
  std::string python{};   ///< the interpreter; empty: python3
  std::string folder{};   ///< where modules are looked for first
  bool random = false;    ///< as of a TorchScriptModel

  /// The part of `factory` before the last colon: a module, or a file that ends in .py.
  std::string module() const { return factory.substr(0, factory.rfind(':')); }
  /// Whether it is a file.
  bool is_file() const { return module().ends_with(".py"); }
  friend bool operator==(const PythonModel&, const PythonModel&) = default;
};

/// The vision tower of CLIP, from a folder as Hugging Face writes it.
struct ClipVitModel {
  std::string path{};  ///< the folder with config.json and, if the member names no other weights, the weights
  ClipOutput output = ClipOutput::pooled;  ///< what it outputs
  std::string head{};                      ///< the file that turns features into logits; with ClipOutput::logits
  ComputedBy backend = ComputedBy::torch;  ///< what computes it
  LayerRange part{};                       ///< the layers of its encoder that are computed; all by default
  friend bool operator==(const ClipVitModel&, const ClipVitModel&) = default;
};

/// Predictions that were computed elsewhere: row i of a file is the prediction for sample i of the input.
struct SavedModel {
  std::string predictions{};  ///< the .npy file
  friend bool operator==(const SavedModel&, const SavedModel&) = default;
};

/// One scripted fault of a `fake` model: `kind` happens in `phase`, at batch `at_batch` of it (counted from 0 in each
/// process); or, with `at_value`, at every batch that holds an image whose first value is exactly that one.
struct ScriptedFault {
  FaultKind kind = FaultKind::none;        ///< what happens
  FaultPhase phase = FaultPhase::predict;  ///< and when
  std::uint64_t at_batch = 0;              ///< of the phase
  std::optional<float> at_value =
      std::nullopt;  ///< finite; `at_batch` is ignored then, and no image comes while loading
  friend bool operator==(const ScriptedFault&, const ScriptedFault&) = default;
};

/// Deterministic arithmetic without LibTorch, with scripted delays and faults; for tests and for measuring.
struct FakeModel {
  std::uint32_t classes = 10;       ///< that it outputs
  Dims per_class{};                 ///< what it outputs for each class: one score, or [height, width] of a mask
  std::uint64_t delay_us = 0;       ///< per batch, slept
  std::uint64_t load_delay_ms = 0;  ///< once, while loading
  bool reads_input = true;          ///< false: answers the same whatever the images, so a batch costs its delay alone
  bool writes_input = false;        ///< behaves like a model that changes its input in place
  std::vector<ScriptedFault> faults{};  ///< what it does wrong

  /// Values of a prediction.
  std::uint32_t width() const { return static_cast<std::uint32_t>(classes * elements_of(per_class)); }
  friend bool operator==(const FakeModel&, const FakeModel&) = default;
};

/// One of them.
using ModelKind = std::variant<SmallCnnModel, MlpModel, TorchScriptModel, AotiModel, OnnxFileModel, OpenVinoModel,
                               PythonModel, ClipVitModel, SavedModel, FakeModel>;

}  // namespace tutti
