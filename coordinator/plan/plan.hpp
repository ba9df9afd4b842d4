// Decides, from a description and a machine, what will run where and what it needs. Pure but for the sizes of the
// models' files; starts nothing. `tutti plan` prints it; the pool carries it out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tutti/status.hpp>

#include "common/wire/arena.hpp"
#include "common/wire/member_request.hpp"
#include "config/spec.hpp"
#include "coordinator/plan/batches.hpp"
#include "coordinator/plan/input.hpp"
#include "coordinator/plan/machine.hpp"

namespace tutti {

/// What one worker gets.
struct WorkerPlan {
  MemberRequest request;
  std::string device;      ///< resolved, for people: "cpu:0", "cuda:0 (NVIDIA H200)"
  std::string assigned;    ///< as the user wrote it: "null"
  std::vector<int> cores;  ///< to pin to; empty: not pinned
  bool shares_cores = false;
  bool forked = false;                  ///< by the fork server, whose environment is the worker's
  std::uint32_t most_batch_images = 1;  ///< the largest batch that is tried; that of `request` where none is
  std::uint32_t epochs = 0;             ///< of training
  std::filesystem::path weights;        ///< where training saves; empty: in the output folder
  std::vector<std::pair<std::string, std::string>> environment;
};

struct Plan {
  std::vector<WorkerPlan> workers;  ///< in rank order
  config::CombineSpec combine;
  std::vector<float> weights;  ///< of the combination, in rank order
  ArenaLayout arena;
  std::optional<std::uint64_t> images;  ///< of the input, where that is known
  Batches batches = Batches::given;     ///< while they are to be measured, members are loaded with the smallest
  config::FailureSpec failure;
  bool training = false;
  std::uint32_t decode_threads = 0;       ///< of a folder of images; 0: nothing is decoded
  std::uint32_t checkpoint_segments = 1;  ///< tasks between two checkpoints of a training member
  bool debugging = false;                 ///< deadlines are off
  std::chrono::duration<double> start_deadline{};
  std::chrono::duration<double> stop_deadline{};
  std::chrono::duration<double> fork_deadline{0.5};  ///< for an answer of the fork server; some 5 ms are normal
  std::vector<Bound> bounds;                         ///< the named terms; their sum is the need
  std::vector<std::string> notes;     ///< choices that were made for the user: "cnn-0: null is cpu (no NVIDIA driver)"
  std::vector<std::string> survival;  ///< for people: what goes on, and for how long, when a worker dies
  AvailableMemory available;

  std::uint64_t needed_bytes() const;
  /// A worker that the fork server makes; null where none is wanted.
  const WorkerPlan* first_forked() const;
};

/// Whether any member's device makes it worth asking for GPUs.
GpuSearch gpus_wanted(const config::EnsembleSpec& spec);

/// Throws Error(usage) where a device or core does not exist, naming the members, and what there is instead.
Plan make_plan(const config::EnsembleSpec& spec, const Machine& machine, const InputForm& input,
               const Options& options);

/// Has the worker load its member with this batch, and warm up with the short ones that will occur.
void set_batch(const Plan& plan, MemberRequest& request, std::uint32_t batch_images);

/// Throws Error(failed) where the sum of the bounds exceeds the memory that is available, with every term.
void check_memory(const Plan& plan);

/// "6.1 MB".
std::string bytes_text(std::uint64_t bytes);

}  // namespace tutti
