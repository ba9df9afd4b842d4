// The checked description of an ensemble: plain values, the result of reading YAML. It knows nothing of processes,
// memory or LibTorch. Its values have passed every check that does not need to look at the machine. Paths are relative
// to the current folder, like any other argument of a program.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/status.hpp>

#include "common/member_input.hpp"
#include "common/tiles.hpp"
#include "common/values.hpp"
#include "common/views.hpp"
#include "common/wire/model_kinds.hpp"

namespace tutti::config {

// ---- devices -------------------------------------------------------------------------------------------------------

/// `cpu`, `cpu:0-3`, `{cpu: [0, 1, 8]}`; no cores: all cores that the process may use.
struct CpuDevice {
  std::vector<int> cores;  ///< sorted, distinct
  friend bool operator==(const CpuDevice&, const CpuDevice&) = default;
};
/// `cuda:1`, `cuda:GPU-<uuid>`, `cuda:MIG-<uuid>`.
struct CudaDevice {
  int index = -1;    ///< -1 if a uuid is given
  std::string uuid;  ///< with its GPU- or MIG- prefix
  friend bool operator==(const CudaDevice&, const CudaDevice&) = default;
};
/// `null`: cuda:0 if there is a usable GPU, otherwise cpu; the code that resolves it logs which one.
struct AutoDevice {
  friend bool operator==(const AutoDevice&, const AutoDevice&) = default;
};
using Device = std::variant<CpuDevice, CudaDevice, AutoDevice>;

/// As the user would write it: "cpu", "cpu:0-3", "cpu:0,8", "cuda:1", "null"; parse_device() reads it back.
std::string to_text(const Device& device);

// ---- input ---------------------------------------------------------------------------------------------------------

enum class Dataset { digits, cifar10, npy, folder, random, memory };
enum class Split { train, test };
enum class Layout { nchw, nhwc };

// Their names in YAML, as in common/values.hpp. `memory` may also be written by leaving `dataset` out.
constexpr auto enum_names(Dataset) {
  return std::array{EnumName{Dataset::digits, "digits"}, EnumName{Dataset::cifar10, "cifar10"},
                    EnumName{Dataset::npy, "npy"},       EnumName{Dataset::folder, "folder"},
                    EnumName{Dataset::random, "random"}, EnumName{Dataset::memory, "memory"}};
}
constexpr auto enum_names(Split) { return std::array{EnumName{Split::train, "train"}, EnumName{Split::test, "test"}}; }
/// What is written of masks besides the arrays.
enum class Masks { none, png };
constexpr auto enum_names(Masks) { return std::array{EnumName{Masks::none, "none"}, EnumName{Masks::png, "png"}}; }
constexpr auto enum_names(Layout) { return std::array{EnumName{Layout::nchw, "nchw"}, EnumName{Layout::nhwc, "nhwc"}}; }

/// Per-channel (x - mean) / std, applied when a segment is filled. Empty: no change. One value applies to all channels.
struct Preprocess {
  std::vector<float> mean;
  std::vector<float> std;
  friend bool operator==(const Preprocess&, const Preprocess&) = default;
};

/// An entry of `inputs`: a tensor of the samples.
struct InputTensor {
  std::string name;            ///< empty: `file` is an archive, and all of its arrays are meant
  std::filesystem::path file;  ///< npy: as images/arrays.hpp reads it
  TensorLayout layout;         ///< random, memory
  friend bool operator==(const InputTensor&, const InputTensor&) = default;
};

/// What opening a data set has shown.
struct FoundSamples {
  std::vector<NamedLayout> tensors;
  std::uint64_t count = 0;
  std::uint64_t band_places = 0;       ///< with tiles: Tiling::band_places()
  std::uint64_t first = 0;             ///< the number of the first in the whole data set: those before it are left out
  std::uint64_t whole = 0;             ///< samples of the whole data set, without `skip` and `limit`
  std::uint64_t held_score_bytes = 0;  ///< what scoring several labels holds of the predictions; the program sets it
  friend bool operator==(const FoundSamples&, const FoundSamples&) = default;
};

/// `input:`. Which fields are used depends on `dataset`; the reader of the YAML rejects the others.
struct InputSpec {
  Dataset dataset = Dataset::memory;              ///< memory: no dataset; images come through the API
  Split split = Split::test;                      ///< digits, cifar10
  std::filesystem::path path;                     ///< cifar10, folder: the folder
  std::filesystem::path images;                   ///< npy
  std::filesystem::path labels;                   ///< npy: a file; folder: the folder of masks; may be empty
  std::vector<InputTensor> tensors;               ///< npy, random, memory: `inputs`; empty: the samples are images
  Layout layout = Layout::nchw;                   ///< npy
  std::uint64_t count = 0;                        ///< random
  ImageShape shape{3, 32, 32};                    ///< random, memory, folder (there 3x224x224 by default)
  std::uint32_t classes = 0;                      ///< random, npy, folder with labels; 0: not known
  std::uint64_t seed = 0;                         ///< random
  OnBroken on_broken = OnBroken::fail;            ///< folder: what to do with an image that cannot be decoded
  std::uint32_t decode_threads = 0;               ///< folder, memory; 0: usable cores, at most 16
  bool jpeg_scaling = false;                      ///< folder, memory: decode large JPEGs at a fraction of their size
  Orientation orientation = Orientation::ignore;  ///< folder, memory: whether pictures are turned as EXIF says
  /// folder: how every image is brought to `shape`, for members without a `resize`; memory: the same of encoded
  /// pictures
  Resize resize;
  std::optional<Tiles> tiles;          ///< npy, folder, memory: the samples are tiles of the inputs
  bool has_bytes = false;              ///< memory: images are uint8. Not a key in YAML: `tutti bench` sets it
  std::uint64_t skip = 0;              ///< the number of images to leave out at the start
  std::optional<std::uint64_t> limit;  ///< the most images to use after those
  Preprocess preprocess;
  /// npy, folder: places of masks with this label do not count. It need not be a class.
  std::optional<std::int64_t> ignore_index;
  /// Not a key in YAML: it follows from what the members are combined over.
  LabelForm label_form = LabelForm::classes;
  /// Not a key in YAML: set where the data set was opened already, so that a plan need not open it again.
  std::optional<FoundSamples> found;
  friend bool operator==(const InputSpec&, const InputSpec&) = default;
};

// ---- members -------------------------------------------------------------------------------------------------------

/// Where something was written, "ensemble.yaml:3:7", for messages about it that come later; empty if it was not read
/// from YAML. Descriptions that mean the same are equal wherever they were written.
struct Place {
  std::string text;
  friend bool operator==(const Place&, const Place&) { return true; }
};

/// The forms of a model that were tried, and what was found; not a key in YAML. Descriptions that mean the same are
/// equal whatever was measured.
struct Tried {
  std::vector<ModelForm> forms;
  friend bool operator==(const Tried&, const Tried&) { return true; }
};

struct ModelSpec {
  ModelKind kind;
  std::filesystem::path weights;  ///< safetensors; empty: start from the seed, or use those in the model's file
  Place file_place{};             ///< of the first file that `kind` names; of a Python member, its interpreter
  /// `kind: auto`, `backend: auto`: the forms of which one is chosen at the start, by measuring. `kind` is the first of
  /// them until then. Empty: there is nothing to choose, or it was chosen.
  std::vector<ModelKind> candidates{};
  Tried tried{};
  friend bool operator==(const ModelSpec&, const ModelSpec&) = default;
};

/// How one member is trained. Every field has its final value here: defaults, then `train:`, then the member's
/// `train:`.
struct TrainSpec {
  std::uint32_t epochs = 1;
  std::uint32_t batch_images = 32;
  double learning_rate = 1e-3;
  std::filesystem::path init;  ///< start from this safetensors file
  bool bootstrap = false;      ///< each member sees its own resample of the images (bagging)
  /// Not a key in YAML: `tutti merge` sets it. Statistics are estimated in one epoch, in the order of the images.
  Learns learns = Learns::weights;
  friend bool operator==(const TrainSpec&, const TrainSpec&) = default;
};

/// Whether the user wrote a value or it is a default. Descriptions that mean the same are equal either way.
struct Written {
  bool value = true;
  friend bool operator==(const Written&, const Written&) { return true; }
};

/// An entry of `takes`: a tensor of the samples that a member takes.
struct TakesSpec {
  std::string tensor;
  std::string as{};  ///< the model's argument; empty: by its place
  friend bool operator==(const TakesSpec&, const TakesSpec&) = default;
};

/// An entry of `workers`: members that share a worker.
struct UnitSpec {
  std::vector<std::size_t> members;  ///< ranks, in order; at least one
  UnitMode mode = UnitMode::loop;
  std::uint32_t replicas = 1;     ///< workers that host the unit
  std::vector<Device> devices{};  ///< by replica; empty: that of the members
  bool same_bits = true;          ///< the replicas are on devices of one kind
  friend bool operator==(const UnitSpec&, const UnitSpec&) = default;
};

/// A part of a member that runs in workers of its own, and whose outputs the next one computes on.
struct StageSpec {
  ModelSpec model;
  Device device = AutoDevice{};
  UnitSpec workers{};  ///< how many, and where; no members
  Place place{};       ///< of its model
  friend bool operator==(const StageSpec&, const StageSpec&) = default;
};

struct MemberSpec {
  std::string name;
  ModelSpec model;  ///< with `stages`, that of the last
  double weight = 1.0;
  OutputKind output = OutputKind::logits;  ///< what the model itself outputs (small-cnn, mlp: always logits)
  Written output_is_written{};             ///< false: it is the default of a kind that may output anything
  std::vector<TakesSpec> takes{};          ///< empty: the only tensor of the samples
  std::optional<MemberInput> input{};      ///< how to prepare the images for this member only
  std::vector<std::string> prepares{};     ///< which of several images that it takes; empty: the only one
  std::vector<View> views;                 ///< of each image, whose predictions are averaged; none: the image
  Place views_place{};                     ///< of the first of these
  bool copy_input = false;                 ///< give the model a private copy of each batch
  std::uint64_t max_memory = 0;            ///< bytes that its worker may hold; 0: any number
  std::uint64_t seed = 0;                  ///< default: the ensemble's seed + rank
  Device device;                           ///< with `stages`, that of the last
  TrainSpec train;
  std::vector<StageSpec> before{};  ///< the stages before the last, first one first; empty: the member has none
  UnitSpec last{};                  ///< with `stages`, the workers of the last one
  friend bool operator==(const MemberSpec&, const MemberSpec&) = default;
};

// ---- the whole -----------------------------------------------------------------------------------------------------

/// What makes a sample doubtful for the members that predicted it: the largest of its combined values, how far that is
/// from the second largest, or the entropy of all of them (natural logarithm).
enum class Doubt { confidence_below, margin_below, entropy_above };
constexpr auto enum_names(Doubt) {
  return std::array{EnumName{Doubt::confidence_below, "confidence_below"},
                    EnumName{Doubt::margin_below, "margin_below"}, EnumName{Doubt::entropy_above, "entropy_above"}};
}

/// An entry of `cascade`: `then` are asked for the samples that are doubtful once `after` have predicted them.
struct CascadeStep {
  std::vector<std::size_t> after;  ///< ranks, ascending; at least one
  Doubt when = Doubt::confidence_below;
  double threshold = 0;
  std::vector<std::size_t> then;  ///< ranks, ascending; at least one
  friend bool operator==(const CascadeStep&, const CascadeStep&) = default;
};

struct CombineSpec {
  CombineRule rule = CombineRule::mean;
  OutputKind over = OutputKind::probabilities;
  bool normalize = true;        ///< weighted: divide by the sum of the weights
  bool accumulate_f64 = false;  ///< `accumulate: float64`
  /// Where the classes are in a prediction: 1 is the first axis after the sample, as in PyTorch; -1 the last.
  std::int32_t axis = 1;
  Activation activation = Activation::softmax;  ///< how the members' logits become probabilities
  bool spread = false;                          ///< also how far the members are apart: coordinator/decide/spread.hpp
  friend bool operator==(const CombineSpec&, const CombineSpec&) = default;

  /// Whether one class is decided for: there are classes, and one of them is right.
  bool decides() const { return rule != CombineRule::none && has_classes(over) && activation != Activation::sigmoid; }
  /// What predictions are compared with. Features are classes once they are behind a head.
  LabelForm label_form() const {
    if (over == OutputKind::values) return LabelForm::values;
    return has_classes(over) && activation == Activation::sigmoid ? LabelForm::indicators : LabelForm::classes;
  }
};

/// What to do when workers die, hang or send invalid outputs.
struct FailureSpec {
  OnWorkerFailure on_worker_failure = OnWorkerFailure::restart;
  std::optional<std::uint32_t> restart_limit = 5;  ///< `restarts: {limit: 5}` or `off`: per member and window
  double restart_window = 60;                      ///< `restarts: {window_s: 60}`
  /// `restarts: {back_off_s: 0.1}`: seconds before the second restart in a row; doubles each time.
  double back_off = 0.1;
  /// `progress_deadline_s: auto | off | 30`: the time for one batch. auto: max(10 s, 20 x the slowest batch so far), in
  /// time that the worker is able to use.
  enum class Deadline { automatic, off, fixed } progress = Deadline::automatic;
  double progress_deadline = 10;  ///< seconds, with `fixed`; the minimum with `automatic`
  OnPoison on_poison = OnPoison::set_aside;
  std::optional<std::uint32_t> poison_limit = 3;  ///< `poison_limit: 3` or `off`
  OnNan on_nan = OnNan::error;
  Spares spares = Spares::none;
  bool core_files = false;  ///< workers that crash may leave core files (without the arena)
  /// Seconds after SIGKILL; a process that still exists then is stuck in the kernel. Not a key in YAML.
  double kill_deadline = 10;
  double drain_deadline = 10;  ///< `drain_deadline_s`: seconds to finish the work in flight at Ctrl-C
  friend bool operator==(const FailureSpec&, const FailureSpec&) = default;
};

/// `quorum:`. A segment is finished once so many members have answered, but not before the deadline, in seconds from
/// when it was filled; nothing: one member, or at once.
struct QuorumSpec {
  std::optional<std::uint32_t> members;
  std::optional<double> deadline;
  friend bool operator==(const QuorumSpec&, const QuorumSpec&) = default;
};

/// `coalesce:`. Small calls of submit() share segments.
struct CoalesceSpec {
  std::uint32_t max_delay_us = 0;  ///< how long the first row of a segment waits for others, in microseconds
  friend bool operator==(const CoalesceSpec&, const CoalesceSpec&) = default;
};

/// One task of `tasks:`: images with labels, and the head that turns the ensemble's features into its classes.
struct TaskSpec {
  std::string name;
  InputSpec input;
  std::optional<InputSpec> held_out{};  ///< greedy_soup: the images that it chooses by, if all tasks have some
  std::vector<std::string> classes;     ///< names, in the order of the labels; empty: those of the head or the input
  std::filesystem::path head;           ///< see merge/head.hpp; empty: the combined output is the task's output
  friend bool operator==(const TaskSpec&, const TaskSpec&) = default;
};

/// `merge:`. Which fields are used depends on `method`; the reader of the YAML rejects the others.
struct MergeSpec {
  MergeMethod method = MergeMethod::average;
  std::vector<std::size_t> over;      ///< ranks of members, in the order they were named; default: all
  std::vector<double> weights;        ///< weighted: one per entry of `over`; default: the weights of the members
  bool normalize = true;              ///< weighted: divide by the sum of the weights
  double scaling = 0.3;               ///< task_arithmetic, ties: the factor of the sum of task vectors
  double density = 0.2;               ///< ties: the fraction of each task vector that is kept
  Disjoint disjoint = Disjoint::sum;  ///< ties: how values whose sign agrees are combined
  double t = 0.5;                     ///< slerp: 0 gives the first member, 1 the second
  bool accumulate_f64 = false;        ///< `accumulate: float64`
  BatchNorm batch_norm = BatchNorm::keep;
  std::optional<InputSpec> input;  ///< greedy_soup: the held-out images, unless the tasks have them; also the
                                   ///< images of the statistics
  friend bool operator==(const MergeSpec&, const MergeSpec&) = default;
};

struct EnsembleSpec {
  std::vector<MemberSpec> members;  ///< in rank order
  CombineSpec combine;
  InputSpec input;
  InputSpec train_input;                 ///< `train.input`; default: `input` with split train
  std::vector<std::string> classes;      ///< names of what the members output, in that order; empty: not known
  std::vector<TaskSpec> tasks;           ///< `tutti evaluate`, `tutti merge`
  std::optional<ModelSpec> base;         ///< the model that the members were fine-tuned from
  std::optional<MergeSpec> merge;        ///< `tutti merge`
  std::vector<UnitSpec> workers;         ///< a member that none of them names has a worker of its own
  std::optional<QuorumSpec> quorum;      ///< nothing: every member is waited for
  std::optional<CoalesceSpec> coalesce;  ///< nothing: each call of submit() has segments of its own
  std::vector<CascadeStep> cascade;      ///< in order; members that none of them asks later are asked at once
  std::uint32_t segment_images = 500;
  bool choose_segment_images = false;  ///< `segment_images: auto`: see coordinator/plan/segments.hpp
  std::uint32_t batch_images = 32;     ///< with `auto`: used where no batch is measured, in training
  bool measure_batch_images = false;   ///< `batch_images: auto`: measures the best batch of each member at the start
  std::uint32_t slots = 4;             ///< arena slots: segments in flight
  std::uint32_t threads = 0;           ///< per worker; 0: usable cores of its set / workers that share it
  std::uint64_t seed = 0;
  bool save_members = false;
  Masks masks = Masks::none;  ///< `masks: png`
  FailureSpec failure;
  StartMethod start_method = StartMethod::automatic;
  std::uint32_t checkpoint_segments = 2;  ///< `train: {checkpoint_segments: 2}`; below `slots` unless both are 1
  double start_deadline = 120.0;          ///< seconds until every worker must be ready
  double stop_deadline = 10.0;            ///< seconds that a worker has to exit before it is killed
  std::filesystem::path output;           ///< the run folder; empty: a new numbered one under runs/
  std::string effective_yaml;             ///< the configuration in effect, for the report

  /// Every member is asked for every sample, and waited for.
  void ask_all() {
    cascade.clear();
    quorum.reset();
  }
  friend bool operator==(const EnsembleSpec&, const EnsembleSpec&) = default;
};

}  // namespace tutti::config
