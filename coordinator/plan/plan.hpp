// Decides, from a description and a machine, what will run where and what it needs. Pure, except that it reads the
// sizes of the models' files and the headers of saved predictions; starts nothing. `tutti plan` prints it; the pool
// carries it out.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <tutti/status.hpp>

#include "common/wire/arena.hpp"
#include "common/wire/member_request.hpp"
#include "config/spec.hpp"
#include "coordinator/decide/chains.hpp"
#include "coordinator/decide/hosting.hpp"
#include "coordinator/plan/batches.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"

namespace tutti {

/// What a member is and does, wherever it runs; or one of its stages, which are members of their own here.
struct MemberPlan {
  MemberRequest request;
  std::string assigned;                 ///< its device as the user wrote it: "null"
  std::uint32_t most_batch_images = 1;  ///< the largest batch that is tried; if none is, that of `request`
  std::uint32_t epochs = 0;             ///< of training
  std::filesystem::path weights;        ///< where training saves; empty: in the run folder
  std::vector<ModelForm> forms;         ///< the forms of which one was chosen
  std::vector<ModelForm> modes;         ///< the modes of its worker of which one was chosen
  std::string stage_of{};               ///< the member that it is a stage of; empty: it is a whole one
  /// The name of the member, for a stage that of its member.
  const std::string& member() const noexcept { return stage_of.empty() ? request.name : stage_of; }
  std::optional<Rank> fed_by{};  ///< the stage before it
  bool feeds = false;            ///< another stage, instead of being combined

  /// The most rows of a sample that it outputs; 0: one (common/wire/rows.hpp).
  std::uint32_t rows() const;
};

/// A worker: the unit that it hosts, and where it runs. Workers of the same unit are replicas.
struct WorkerPlan {
  std::vector<Rank> members;  ///< at least one; their seats, in order
  UnitMode mode = UnitMode::loop;
  std::string device;      ///< resolved, for people: "cpu:0", "cuda:0 (NVIDIA H200)"
  std::vector<int> cores;  ///< to pin to; empty: not pinned
  bool shares_cores = false;
  bool cuda = false;
  bool same_bits = true;  ///< false: of replicas on different kinds of devices
  bool forked = false;    ///< by the fork server, whose environment is the worker's
  std::string python{};   ///< the interpreter of Python members; empty: they are none
  std::vector<std::pair<std::string, std::string>> environment;
};

struct Plan {
  /// In rank order. The last stage of a member has its rank; those before it have the ranks behind all members.
  std::vector<MemberPlan> members;
  std::vector<WorkerPlan> workers;  ///< each member is in one of them
  config::CombineSpec combine;
  std::vector<config::CascadeStep> cascade;  ///< none in training
  std::optional<config::QuorumSpec> quorum;  ///< none in training
  std::vector<float> weights;                ///< of the combination, in rank order
  ArenaLayout arena;
  InputForm input;                   ///< array t of the arena is its tensor t; or its plane, if it has planes
  Batches batches = Batches::given;  ///< if they are to be measured, members are loaded with the smallest
  config::FailureSpec failure;
  bool training = false;
  std::uint32_t decode_threads = 0;       ///< of a folder of images; 0: nothing is decoded
  bool turns_pictures = false;            ///< that are decoded
  bool saves_members = false;             ///< their own predictions are kept, too
  bool scores_tiles = false;              ///< those of tiles are compared with masks once they are blended
  std::uint32_t checkpoint_segments = 1;  ///< tasks between two checkpoints of a training member
  bool debugging = false;                 ///< deadlines are off
  std::chrono::duration<double> start_deadline{};
  std::chrono::duration<double> stop_deadline{};
  std::chrono::duration<double> fork_deadline{0.5};  ///< for an answer of the fork server; about 5 ms is normal
  std::vector<Bound> bounds;                         ///< the named terms; their sum is the memory needed
  std::vector<std::string> notes;     ///< choices that were made for the user: "cnn-0: null is cpu (no NVIDIA driver)"
  std::vector<std::string> survival;  ///< for people: what continues, and for how long, when a worker dies
  AvailableMemory available;

  std::uint64_t needed_bytes() const;
  /// The first worker that the fork server makes; null if there is none.
  const WorkerPlan* first_forked() const;
  /// Whether the fork server makes a worker that is added later: it has the environment of its first one.
  bool forks(const WorkerPlan& added) const;
  Hosting hosting() const;
  Chains chains() const;
  /// How many of `members` are combined: those with the first ranks.
  std::size_t combined() const;
  /// All ranks, the stages of a member one after the other.
  std::vector<Rank> in_order() const;
  /// Whether others compute on what it outputs.
  bool feeds_others(const WorkerPlan& worker) const;
  /// The worker that hosts the member, or the first of its replicas.
  const WorkerPlan& host_of(Rank rank) const;
  /// Whether members can be trained: none has several workers, or is fused with others.
  bool may_learn() const;
  /// Nobody shares a worker, and nobody has several.
  bool one_worker_each() const;
  /// How many workers host the same unit as this one.
  std::size_t replicas_of(const WorkerPlan& worker) const;
  const MemberRequest& request_of(Rank rank) const { return members[rank.value()].request; }
  /// The libraries that a worker opens for its members.
  std::set<Library> libraries_of(const WorkerPlan& worker) const;
  /// For processes and messages: the name of its member, "a+b", or "a+7 more".
  std::string name_of(const WorkerPlan& worker) const;
};

/// As Plan::name_of(), of a worker that hosts members of these names.
std::string unit_name(const std::vector<std::string>& members);

/// Whether any member's device may be a GPU.
GpuSearch gpus_wanted(const config::EnsembleSpec& spec);

/// Throws Error(usage) if a device or core does not exist; it names the members and what does exist. Also if saved
/// predictions do not fit the input (coordinator/plan/saved.hpp).
Plan make_plan(const config::EnsembleSpec& spec, const Machine& machine, const InputForm& input,
               const Options& options);

/// Makes the worker load its member with this batch, and warm up with the short ones that will occur.
void set_batch(const Plan& plan, MemberRequest& request, std::uint32_t batch_images);

}  // namespace tutti
