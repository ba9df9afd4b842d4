// The description of an ensemble as a plain value: what a YAML file says, to be built, read and changed by a program.
//
//   tutti::EnsembleSpec value = tutti::load_spec("ensemble.yaml").checked();   // or one from scratch
//   value.members[2].weight = 0.5;
//   tutti::Spec spec(value);                                                 // checked, or it throws
//   std::string yaml = spec.yaml();
//
// Paths are relative to the current folder, like any other argument of a program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <tutti/choices.hpp>
#include <tutti/inputs.hpp>
#include <tutti/models.hpp>
#include <tutti/status.hpp>
#include <tutti/steps.hpp>

namespace tutti {

// ---- devices -------------------------------------------------------------------------------------------------------

/// `cpu`, `cpu:0-3`, `{cpu: [0, 1, 8]}`; no cores: all cores that the process may use.
struct CpuDevice {
  std::vector<int> cores{};  ///< sorted, distinct
  friend bool operator==(const CpuDevice&, const CpuDevice&) = default;
};
/// `cuda:1`, `cuda:GPU-<uuid>`, `cuda:MIG-<uuid>`.
struct CudaDevice {
  int index = -1;      ///< -1 if a uuid is given
  std::string uuid{};  ///< with its GPU- or MIG- prefix
  friend bool operator==(const CudaDevice&, const CudaDevice&) = default;
};
/// `null`: cuda:0 if there is a usable GPU, otherwise cpu; the code that resolves it logs which one.
struct AutoDevice {
  friend bool operator==(const AutoDevice&, const AutoDevice&) = default;
};
/// Where a member predicts.
using Device = std::variant<CpuDevice, CudaDevice, AutoDevice>;

// ---- members -------------------------------------------------------------------------------------------------------

/// What a value keeps for Tutti itself.
namespace detail {

/// Where something was written, "ensemble.yaml:3:7", for messages about it that come later; empty if it was not read
/// from YAML. Descriptions that mean the same are equal wherever they were written.
struct Place {
  std::string text{};  ///< as in messages
  friend bool operator==(const Place&, const Place&) { return true; }
};

/// The forms of a model that were tried, and what was found; not a key in YAML. Descriptions that mean the same are
/// equal whatever was measured.
struct Tried {
  std::vector<ModelForm> forms{};  ///< as in MemberStatus
  friend bool operator==(const Tried&, const Tried&) { return true; }
};

/// Whether the user wrote a value or it is a default. Descriptions that mean the same are equal either way.
struct Written {
  bool value = true;  ///< the user wrote it
  friend bool operator==(const Written&, const Written&) { return true; }
};

/// What `train_input` was when it was made of `input`. As long as it is that, it follows a changed `input`.
/// Descriptions that mean the same are equal either way.
struct Followed {
  std::optional<InputSpec> train_input{};  ///< nothing: the description has its own
  friend bool operator==(const Followed&, const Followed&) { return true; }
};

}  // namespace detail

/// The model of a member.
struct ModelSpec {
  ModelKind kind{};                 ///< and its settings
  std::filesystem::path weights{};  ///< safetensors; empty: start from the seed, or use those in the model's file

  /// For Tutti itself: of the first file that `kind` names; of a Python member, its interpreter.
  detail::Place file_place{};
  /// `kind: auto`, `backend: auto`: the forms of which one is chosen at the start, by measuring. `kind` is the first of
  /// them until then. Empty: there is nothing to choose, or it was chosen.
  std::vector<ModelKind> candidates{};
  detail::Tried tried{};  ///< for Tutti itself
  friend bool operator==(const ModelSpec&, const ModelSpec&) = default;
};

/// How one member is trained. In YAML the defaults are those of the `train` of the ensemble.
struct TrainSpec {
  std::uint32_t epochs = 1;         ///< passes over the images
  std::uint32_t batch_images = 32;  ///< images per step
  double learning_rate = 1e-3;      ///< of Adam
  std::filesystem::path init{};     ///< start from this safetensors file
  bool bootstrap = false;           ///< each member sees its own resample of the images (bagging)

  /// For Tutti itself: `tutti merge` sets it. Statistics are estimated in one epoch, in the order of the images.
  Learns learns = Learns::weights;
  friend bool operator==(const TrainSpec&, const TrainSpec&) = default;
};

/// An entry of `takes`: a tensor of the samples that a member takes.
struct TakesSpec {
  std::string tensor{};  ///< its name in `inputs`
  std::string as{};      ///< the model's argument; empty: by its place
  friend bool operator==(const TakesSpec&, const TakesSpec&) = default;
};

/// An entry of `workers`: members that share a worker.
struct UnitSpec {
  std::vector<std::size_t> members{};  ///< ranks, in order; at least one
  UnitMode mode = UnitMode::loop;      ///< how they are computed
  std::uint32_t replicas = 1;          ///< workers that host the unit
  std::vector<Device> devices{};       ///< by replica; empty: that of the members
  bool same_bits = true;               ///< the replicas are on devices of one kind
  std::vector<UnitMode> modes{};  ///< `mode: auto`: of which one is chosen at the start, by measuring; until then `mode`
                                  ///< is the first. Spec finds which there are
  detail::Tried tried{};  ///< for Tutti itself: how `mode` was chosen
  friend bool operator==(const UnitSpec&, const UnitSpec&) = default;
};

/// A step of `stages`. It runs in the workers of the stage before it, on what that outputs.
struct StepSpec {
  Step step{};            ///< what it computes
  detail::Place place{};  ///< for Tutti itself: where it is written
  friend bool operator==(const StepSpec&, const StepSpec&) = default;
};

/// A part of a member that runs in workers of its own, and whose outputs the next one computes on.
struct StageSpec {
  ModelSpec model{};              ///< what it computes
  Device device = AutoDevice{};   ///< where
  UnitSpec workers{};             ///< how many, and where; without members
  std::vector<StepSpec> steps{};  ///< what is made of its outputs before they are passed on
  detail::Place place{};          ///< for Tutti itself: of its model
  friend bool operator==(const StageSpec&, const StageSpec&) = default;
};

/// An entry of `members`.
struct MemberSpec {
  std::string name{};                      ///< names become files: letters, digits, '_', '.' and '-'
  ModelSpec model{};                       ///< what predicts; with `stages`, the last of them
  double weight = 1.0;                     ///< for the rules weighted and vote
  OutputKind output = OutputKind::logits;  ///< what the model itself outputs (small-cnn, mlp: always logits), or what
                                           ///< `steps` make of it
  detail::Written output_is_written{};     ///< for Tutti itself: `output` is not a default
  std::vector<TakesSpec> takes{};          ///< empty: the only tensor of the samples
  std::optional<MemberInput> input{};      ///< how to prepare the images for this member only
  std::vector<std::string> prepares{};     ///< which of several images that it takes; empty: the only one
  std::vector<View> views{};               ///< of each image, whose predictions are averaged; none: the image
  detail::Place views_place{};             ///< for Tutti itself: of the first of these
  bool copy_input = false;                 ///< give the model a private copy of each batch
  std::uint64_t max_memory = 0;            ///< bytes that its worker may hold; 0: any number
  std::uint64_t seed = 0;                  ///< of random weights and numbers; in YAML the ensemble's seed + rank
  Device device{};                         ///< where it predicts; with `stages`, the last of them
  TrainSpec train{};                       ///< how it is trained
  std::vector<StageSpec> before{};         ///< `stages` but the last, the first one first; empty: it has none
  UnitSpec last{};                         ///< with `stages`, the workers of the last
  std::vector<StepSpec> steps{};           ///< with `stages`, what is made of the outputs of the last
  friend bool operator==(const MemberSpec&, const MemberSpec&) = default;
};

// ---- the whole -----------------------------------------------------------------------------------------------------

/// An entry of `cascade`: `then` are asked for the samples that are doubtful once `after` have predicted them.
struct CascadeStep {
  std::vector<std::size_t> after{};      ///< ranks, ascending; at least one
  Doubt when = Doubt::confidence_below;  ///< what makes a sample doubtful
  double threshold = 0;                  ///< of that
  std::vector<std::size_t> then{};       ///< ranks, ascending; at least one
  friend bool operator==(const CascadeStep&, const CascadeStep&) = default;
};

/// How the predictions of the members become one.
struct CombineSpec {
  CombineRule rule = CombineRule::mean;         ///< the rule
  OutputKind over = OutputKind::probabilities;  ///< what it is applied to
  bool normalize = true;                        ///< weighted: divide by the sum of the weights
  bool accumulate_f64 = false;                  ///< `accumulate: float64`

  /// Where the classes are in a prediction: 1 is the first axis after the sample, as in PyTorch; -1 the last.
  std::int32_t axis = 1;
  Activation activation = Activation::softmax;  ///< how the members' logits become probabilities
  bool spread = false;                          ///< also how far the members are apart
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
  OnWorkerFailure on_worker_failure = OnWorkerFailure::restart;  ///< what happens if workers die
  std::optional<std::uint32_t> restart_limit = 5;  ///< `restarts: {limit: 5}` or `off`: per member and window
  double restart_window = 60;                      ///< `restarts: {window_s: 60}`

  /// `restarts: {back_off_s: 0.1}`: seconds before the second restart in a row; doubles each time.
  double back_off = 0.1;
  /// `progress_deadline_s: auto | off | 30`: the time for one batch. auto: max(10 s, 20 x the slowest batch so far), in
  /// time that the worker is able to use.
  enum class Deadline { automatic, off, fixed };
  Deadline progress = Deadline::automatic;        ///< which of them
  double progress_deadline = 10;                  ///< seconds, with `fixed`; the minimum with `automatic`
  OnPoison on_poison = OnPoison::set_aside;       ///< what happens to a segment that kills workers
  std::optional<std::uint32_t> poison_limit = 3;  ///< `poison_limit: 3` or `off`
  OnNan on_nan = OnNan::error;                    ///< what happens to a prediction that is not finite
  Spares spares = Spares::none;                   ///< workers that wait to replace one
  bool core_files = false;                        ///< workers that crash may leave core files (without the arena)

  /// Seconds after SIGKILL; a process that still exists then is stuck in the kernel. Not a key in YAML.
  double kill_deadline = 10;
  double drain_deadline = 10;  ///< `drain_deadline_s`: seconds to finish the work in flight at Ctrl-C
  friend bool operator==(const FailureSpec&, const FailureSpec&) = default;
};

/// `quorum:`. A segment is finished once so many members have answered, but not before the deadline, in seconds from
/// when it was filled; nothing: one member, or at once.
struct QuorumSpec {
  std::optional<std::uint32_t> members{};  ///< how many
  std::optional<double> deadline{};        ///< `deadline_s`
  friend bool operator==(const QuorumSpec&, const QuorumSpec&) = default;
};

/// `coalesce:`. Small calls of submit() share segments.
struct CoalesceSpec {
  std::uint32_t max_delay_us = 0;  ///< how long the first row of a segment waits for others, in microseconds
  friend bool operator==(const CoalesceSpec&, const CoalesceSpec&) = default;
};

/// One task of `tasks:`: images with labels, and the head that turns the ensemble's features into its classes.
struct TaskSpec {
  std::string name{};                   ///< of the task, and of its folder
  InputSpec input{};                    ///< the images
  std::optional<InputSpec> held_out{};  ///< greedy_soup: the images that it chooses by, if all tasks have some
  std::vector<std::string> classes{};   ///< names, in the order of the labels; empty: those of the head or the input
  std::filesystem::path head{};         ///< the file of the head; empty: the combined output is the task's output
  friend bool operator==(const TaskSpec&, const TaskSpec&) = default;
};

/// `merge:`. Which fields are used depends on `method`; the others keep their defaults.
struct MergeSpec {
  MergeMethod method = MergeMethod::average;  ///< how
  std::vector<std::size_t> over{};            ///< ranks of members, in this order; empty: all
  std::vector<double> weights{};              ///< weighted: one per entry of `over`; empty: those of the members
  bool normalize = true;                      ///< weighted: divide by the sum of the weights
  double scaling = 0.3;                       ///< task_arithmetic, ties: the factor of the sum of task vectors
  double density = 0.2;                       ///< ties: the fraction of each task vector that is kept
  Disjoint disjoint = Disjoint::sum;          ///< ties: how values whose sign agrees are combined
  double t = 0.5;                             ///< slerp: 0 gives the first member, 1 the second
  bool accumulate_f64 = false;                ///< `accumulate: float64`
  BatchNorm batch_norm = BatchNorm::keep;     ///< what happens to statistics
  std::optional<InputSpec> input{};  ///< greedy_soup: the held-out images, unless the tasks have them; also the
                                     ///< images of the statistics
  friend bool operator==(const MergeSpec&, const MergeSpec&) = default;
};

/// The description of an ensemble. The comments of fields whose keys in YAML are called differently name these
/// (docs/configuration.md).
struct EnsembleSpec {
  std::vector<MemberSpec> members{};       ///< in rank order
  CombineSpec combine{};                   ///< how their predictions become one
  InputSpec input{};                       ///< the samples
  InputSpec train_input{};                 ///< `train.input`; as it is by default: `input` with split train. One that
                                           ///< was made of `input` follows it, unless it was changed
  std::vector<std::string> classes{};      ///< names of what the members output, in that order; empty: not known
  std::vector<TaskSpec> tasks{};           ///< `tutti evaluate`, `tutti merge`
  std::optional<ModelSpec> base{};         ///< the model that the members were fine-tuned from
  std::optional<MergeSpec> merge{};        ///< `tutti merge`
  std::vector<UnitSpec> workers{};         ///< a member that none of them names has a worker of its own
  std::optional<QuorumSpec> quorum{};      ///< nothing: every member is waited for
  std::optional<CoalesceSpec> coalesce{};  ///< nothing: each call of submit() has segments of its own
  std::vector<CascadeStep> cascade{};      ///< in order; members that none of them asks later are asked at once
  std::uint32_t segment_images = 500;      ///< consecutive samples that are handed out at once
  bool choose_segment_images = false;      ///< `segment_images: auto`, which is the default in YAML
  std::uint32_t batch_images = 32;         ///< with `auto`: used where no batch is measured, in training
  bool measure_batch_images = false;  ///< `batch_images: auto`: measures the best batch of each member at the start
  std::uint32_t slots = 4;            ///< arena slots: segments in flight
  std::uint32_t threads = 0;          ///< per worker; 0: usable cores of its set / workers that share it
  std::uint64_t seed = 0;             ///< of what is random and no member's
  bool save_members = false;          ///< the predictions of each member are results, too
  Masks masks = Masks::none;          ///< `masks: png`
  FailureSpec failure{};              ///< what happens when things fail
  StartMethod start_method = StartMethod::automatic;  ///< how workers are started
  std::uint32_t checkpoint_segments = 2;  ///< `train: {checkpoint_segments: 2}`; below `slots` unless both are 1
  double start_deadline = 120.0;          ///< seconds until every worker must be ready
  double stop_deadline = 10.0;            ///< seconds that a worker has to exit before it is killed
  std::filesystem::path output{};         ///< the run folder; empty: a new numbered one under runs/
  std::string effective_yaml{};           ///< for Tutti itself: the YAML of a checked description
  detail::Followed followed{};            ///< for Tutti itself: whether `train_input` follows `input`

  /// Every member is asked for every sample, and waited for.
  void ask_all() {
    cascade.clear();
    quorum.reset();
  }
  friend bool operator==(const EnsembleSpec&, const EnsembleSpec&) = default;
};

}  // namespace tutti
