// The choices of a description: rules, kinds of outputs, policies. Each has the name that it has in YAML, where
// `automatic` is `auto`.
#pragma once

#include <cstdint>

namespace tutti {

/// What the numbers of an output mean. `values` are what a regression predicts: depths, prices, coordinates.
enum class OutputKind : std::uint8_t { probabilities, logits, features, values };
/// Whether there is a score for each class.
constexpr bool has_classes(OutputKind kind) { return kind == OutputKind::probabilities || kind == OutputKind::logits; }

/// How logits become probabilities: over the classes, of which one is right; each for itself, since several labels may
/// be right; or not at all.
enum class Activation : std::uint8_t { softmax, sigmoid, none };

/// What a clip-vit outputs: the CLS token after the last norm, that token projected into the text space, or logits.
enum class ClipOutput : std::uint8_t { pooled, projected, logits };

/// How the members' predictions become the ensemble's.
enum class CombineRule : std::uint8_t {
  mean,
  sum,
  weighted,
  max,
  most_confident,
  vote,
  median,
  geometric_mean,
  none,
};

/// What happens to a member whose workers die: `restart` and `degrade` replace them as long as the restart budget
/// allows, and then end the run or continue without the member; `fail` ends the run at the first death.
enum class OnWorkerFailure : std::uint8_t { restart, degrade, fail };
/// What happens to a segment that kills the workers that compute it.
enum class OnPoison : std::uint8_t { set_aside, fail };
/// What a prediction with NaN or infinity means.
enum class OnNan : std::uint8_t { error, allow, degrade };
/// Spare workers: none, started with their libraries loaded, or loaded and warm.
enum class Spares : std::uint8_t { none, process, member };
/// How a worker's process starts: spawned, forked from a process that has LibTorch loaded, or the better of the two.
enum class StartMethod : std::uint8_t { automatic, spawn, forkserver };
/// How a worker runs the members of its unit: one after the other for each segment; each in a thread of its own; or
/// equal networks as one, which computes all of them at once.
enum class UnitMode : std::uint8_t { loop, threads, fused };

/// How a view of an image is made, which a member predicts too: test-time augmentation. Turns are counter-clockwise.
enum class ViewKind : std::uint8_t { identity, hflip, vflip, rot90, rot180, rot270, transpose, crops, scale };
/// How an image is resized: not at all; the shorter side to a length (then a crop); both sides, without keeping the
/// proportions.
enum class ResizeRule : std::uint8_t { none, shorter, exact };
/// The filters of Pillow: with antialiasing if the image gets smaller.
enum class Interpolation : std::uint8_t { nearest, bilinear, bicubic };
/// How the place of a centre crop is rounded if it lies between two pixels: to the even one, as torchvision does, or
/// towards the top left, as the processors of transformers do.
enum class CropRounding : std::uint8_t { half_even, floor };
/// What a step top_k outputs: the largest values, or where along their axis they are, counted from 0.
enum class TopKGives : std::uint8_t { values, indices };
/// What a step reduce makes of the rows of a sample: their mean, or the largest of their values.
enum class ReduceBy : std::uint8_t { mean, max };
/// What is done about the EXIF orientation of a picture: nothing, or it is turned upright.
enum class Orientation : std::uint8_t { ignore, exif };
/// What happens if an image cannot be decoded.
enum class OnBroken : std::uint8_t { fail, skip };

/// How checkpoints become one.
enum class MergeMethod : std::uint8_t { average, weighted, task_arithmetic, ties, slerp, greedy_soup };
/// What ties does with the changes that agree in sign.
enum class Disjoint : std::uint8_t { mean, sum };
/// What merging does with BatchNorm statistics: they are averaged like weights, or estimated again over images.
enum class BatchNorm : std::uint8_t { keep, estimate };

/// What training changes in a member: its weights, from labels, or the statistics of its BatchNorm layers, for which
/// images are enough.
enum class Learns : std::uint8_t { weights, statistics };

/// What the labels of images are, by what the members predict: classes, of which one is right for each image or place;
/// 0 or 1 for each of several labels; or numbers.
enum class LabelForm : std::uint8_t { classes, indicators, values };

/// What a `fake` member does wrong.
enum class FaultKind : std::uint8_t { none, exception, exit, abort, segfault, kill, hang, nan, stop, leak, nonsense };
/// And in which phase of its life.
enum class FaultPhase : std::uint8_t { load, warm_up, predict, train };

/// The numbers in which a library computes where it may choose: float32, bfloat16 or float16.
enum class Precision : std::uint8_t { f32, bf16, f16 };
/// The library of a network that Tutti describes itself. Training always uses LibTorch.
enum class ComputedBy : std::uint8_t { torch, openvino, onnxruntime };
/// How much the places of a tile count where tiles overlap: those near its centre more, or alike.
enum class Blend : std::uint8_t { gaussian, mean };

/// Where samples come from. `memory`: from the program, by Ensemble::predict() and the like.
enum class Dataset { digits, cifar10, npy, folder, random, memory };
/// Which part of a data set that has two.
enum class Split { train, test };
/// The order of the axes of images in an .npy.
enum class Layout { nchw, nhwc };
/// What is written of masks besides the arrays.
enum class Masks { none, png };

/// What makes a sample doubtful for the members that predicted it: the largest of its combined values, how far that is
/// from the second largest, or the entropy of all of them (natural logarithm).
enum class Doubt { confidence_below, margin_below, entropy_above };

}  // namespace tutti
