#include "coordinator/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include <tutti/error.hpp>

#include "common/channel.hpp"
#include "config/failure.hpp"
#include "coordinator/trace.hpp"

namespace tutti {
namespace {

// Measured (docs/decisions/0003): private memory of a worker after warm-up, with LibTorch and a small model.
constexpr std::uint64_t kTorchWorkerBytes = 110ULL << 20;
constexpr std::uint64_t kFakeWorkerBytes = 3ULL << 20;
// Used for the width of models that only tell it once loaded.
constexpr std::uint32_t kAssumedWidth = 1000;

std::vector<int> common_cores(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

/// Cores that a set of them is worth: the cgroup may grant less time than there are cores.
std::uint32_t usable(const std::vector<int>& cores, const Machine& machine) {
  const double granted = machine.cpu_quota.value_or(static_cast<double>(cores.size()));
  const double worth = std::min(static_cast<double>(cores.size()), std::floor(granted + 1e-9));
  return static_cast<std::uint32_t>(std::max(1.0, worth));
}

/// Collects what is wrong with all members before it complains.
class Problems {
 public:
  void add(std::string text) { texts_.push_back(std::move(text)); }
  void raise() const {
    if (texts_.empty()) return;
    const std::string hint = "devices are written cpu, cpu:0-3, cuda:0; change 'assignment' or use --assign";
    if (texts_.size() == 1) throw Error(ErrorKind::usage, texts_.front(), {}, hint);
    throw Error(ErrorKind::usage, fmt::format("{} members cannot be placed", texts_.size()),
                fmt::format("{}", fmt::join(texts_, "\n          ")), hint);
  }

 private:
  std::vector<std::string> texts_;
};

std::string core_text(const std::vector<int>& cores) { return config::to_text(config::CpuDevice{cores}); }

class Planner {
 public:
  Planner(const config::EnsembleSpec& spec, const Machine& machine, const InputForm& input, const Options& options)
      : spec_(spec), machine_(machine), input_(input), options_(options) {
    plan_.combine = spec.combine;
    plan_.arena = {spec.slots, spec.segment_images, input.shape};
    plan_.failure = spec.failure;
    plan_.training = options.training;
    // The reader of the configuration keeps to this bound; a description that was put together may not.
    plan_.checkpoint_segments = std::min(spec.checkpoint_segments, config::most_checkpoint_segments(plan_.arena.slots));
    plan_.debugging = !options.debug_member.empty();
    plan_.start_deadline = std::chrono::duration<double>(spec.start_deadline);
    plan_.stop_deadline = std::chrono::duration<double>(spec.stop_deadline);
    plan_.available = machine.memory;
  }

  Plan make() {
    for (const config::MemberSpec& member : spec_.members) place(member);
    problems_.raise();
    check_debug_member();
    for (std::size_t rank = 0; rank < plan_.workers.size(); ++rank) share_cores(plan_.workers[rank]);
    add_bounds();
    say_what_survives();
    return std::move(plan_);
  }

 private:
  void place(const config::MemberSpec& member) {
    WorkerPlan worker;
    worker.request = request_of(member);
    worker.assigned = config::to_text(member.device);
    worker.weights = member.model.weights;
    worker.epochs = member.train.epochs;
    config::Device device = member.device;
    if (std::holds_alternative<config::AutoDevice>(device)) device = choose(member.name);
    if (const auto* cpu = std::get_if<config::CpuDevice>(&device))
      place_on_cores(worker, cpu->cores);
    else
      place_on_gpu(worker, std::get<config::CudaDevice>(device));
    plan_.weights.push_back(static_cast<float>(member.weight));
    plan_.workers.push_back(std::move(worker));
  }

  config::Device choose(const std::string& name) {
    if (!machine_.gpus.empty() && machine_.why_no_cuda_members.empty()) {
      plan_.notes.push_back(fmt::format("{}: null is cuda:0 here ({})", name, machine_.gpus.front().name));
      return config::CudaDevice{0, {}};
    }
    plan_.notes.push_back(fmt::format("{}: null is cpu here ({})", name,
                                      machine_.gpus.empty() ? machine_.why_no_gpu : machine_.why_no_cuda_members));
    return config::CpuDevice{};
  }

  MemberRequest request_of(const config::MemberSpec& member) const {
    MemberRequest request;
    request.name = member.name;
    request.model = member.model.kind;
    request.weights = options_.training ? member.train.init.string() : member.model.weights.string();
    request.seed = member.seed;
    request.shape = plan_.arena.shape;
    request.batch_images = std::min(spec_.batch_images, spec_.segment_images);
    request.warm_up_batches = short_batches(request.batch_images);
    request.output = member.output;
    request.over = spec_.combine.over;
    request.copy_input = member.copy_input;
    request.train_batch_images = member.train.batch_images;
    request.learning_rate = member.train.learning_rate;
    request.bootstrap = member.train.bootstrap;
    return request;
  }

  /// The last batch of a whole segment, and all batches of the last segment where its length is known.
  std::vector<std::uint32_t> short_batches(std::uint32_t batch) const {
    std::vector<std::uint32_t> sizes{spec_.segment_images % batch};
    if (input_.images) {
      const auto last_segment = static_cast<std::uint32_t>(*input_.images % spec_.segment_images);
      sizes.push_back(last_segment % batch);
    }
    std::sort(sizes.begin(), sizes.end());
    sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
    std::erase(sizes, 0U);
    return sizes;
  }

  void place_on_cores(WorkerPlan& worker, const std::vector<int>& cores) {
    worker.cores = cores;
    worker.device = core_text(cores);
    for (const int core : cores) {
      if (std::binary_search(machine_.cores.begin(), machine_.cores.end(), core)) continue;
      const bool present = std::binary_search(machine_.present_cores.begin(), machine_.present_cores.end(), core);
      problems_.add(
          fmt::format("{}: core {} {}; usable: {}", worker.request.name, core,
                      present ? "may not be used by this process (offline, or left out by its affinity mask or cpuset)"
                              : "does not exist",
                      core_text(machine_.cores)));
      return;
    }
  }

  void place_on_gpu(WorkerPlan& worker, const config::CudaDevice& device) {
    const auto found = std::find_if(machine_.gpus.begin(), machine_.gpus.end(), [&](const Gpu& gpu) {
      return device.uuid.empty() ? gpu.index == device.index : gpu.uuid.starts_with(device.uuid);
    });
    if (!machine_.gpus.empty() && !machine_.why_no_cuda_members.empty()) {
      problems_.add(fmt::format("{}: {} cannot be used: {}", worker.request.name, config::to_text(device),
                                machine_.why_no_cuda_members));
      return;
    }
    // A MIG instance is not in the list of GPUs; CUDA itself will say whether it is there.
    const bool is_mig = device.uuid.starts_with("MIG-");
    if (found == machine_.gpus.end() && (!is_mig || machine_.gpus.empty())) {
      problems_.add(fmt::format(
          "{}: {} does not exist; {}", worker.request.name, config::to_text(device),
          machine_.gpus.empty() ? machine_.why_no_gpu : fmt::format("there are {} GPUs", machine_.gpus.size())));
      return;
    }
    worker.request.cuda = true;
    worker.device = is_mig ? config::to_text(device) : fmt::format("cuda:{} ({})", found->index, found->name);
    worker.environment.emplace_back("CUDA_VISIBLE_DEVICES", is_mig ? device.uuid : found->uuid);
    worker.environment.emplace_back("CUDA_MODULE_LOADING", "LAZY");
    worker.environment.emplace_back("NVIDIA_TF32_OVERRIDE", "0");
  }

  void check_debug_member() const {
    if (options_.debug_member.empty()) return;
    for (const config::MemberSpec& member : spec_.members)
      if (member.name == options_.debug_member) return;
    throw Error(ErrorKind::usage, fmt::format("there is no member '{}' to debug", options_.debug_member));
  }

  /// Threads: the usable cores of the worker's set, shared with the workers whose sets overlap it.
  void share_cores(WorkerPlan& worker) {
    const auto set_of = [&](const WorkerPlan& w) { return w.cores.empty() ? machine_.cores : w.cores; };
    std::uint32_t sharers = 0;
    for (const WorkerPlan& other : plan_.workers)
      if (!common_cores(set_of(worker), set_of(other)).empty()) ++sharers;
    const std::uint32_t fair = std::max(1U, usable(set_of(worker), machine_) / sharers);
    worker.shares_cores = sharers > 1;
    worker.request.threads = spec_.threads != 0 ? spec_.threads : fair;
    worker.environment.emplace_back("OMP_NUM_THREADS", std::to_string(worker.request.threads));
    worker.environment.emplace_back("MKL_NUM_THREADS", std::to_string(worker.request.threads));
    // A thread pool that spins while it waits takes the core from the workers that share it.
    if (worker.shares_cores) worker.environment.emplace_back("OMP_WAIT_POLICY", "passive");
    if (!worker.request.cuda) worker.environment.emplace_back("CUDA_VISIBLE_DEVICES", "");
  }

  void add_bounds() {
    const std::uint64_t segment = plan_.arena.slot_bytes();
    plan_.bounds.push_back(
        {fmt::format("arena: {} slots x {} (segment of {} images {}, labels, numbers)", plan_.arena.slots,
                     bytes_text(segment), plan_.arena.images, plan_.arena.shape.text()),
         plan_.arena.bytes()});
    if (options_.training && input_.images)
      plan_.bounds.push_back({fmt::format("order of {} images to learn from", *input_.images), *input_.images * 8});
    if (!options_.trace.empty())
      plan_.bounds.push_back({fmt::format("trace: up to {} events x {}", TraceRecorder::kMaxEvents,
                                          bytes_text(TraceRecorder::kEventBytes)),
                              TraceRecorder::kMaxEvents * TraceRecorder::kEventBytes});
    for (const WorkerPlan& worker : plan_.workers) {
      add_channels(worker);
      add_process(worker, "", true);
      if (plan_.failure.spares != Spares::none) add_process(worker, "spare ", plan_.failure.spares == Spares::member);
    }
  }

  /// The answers of a worker that died are read out of its channel while its replacement has one of its own already.
  void add_channels(const WorkerPlan& worker) {
    const std::uint32_t width = known_width(worker.request.model);
    const ChannelLayout channel{plan_.arena.slots, plan_.arena.images, width == 0 ? kAssumedWidth : width};
    plan_.bounds.push_back(
        {fmt::format("channel of {}: rings, {} output slots x {}{}", worker.request.name, channel.slots,
                     bytes_text(channel.output_slot_bytes()), width == 0 ? " (1000 values an image assumed)" : ""),
         channel.bytes()});
    if (plan_.failure.on_worker_failure != OnWorkerFailure::fail)
      plan_.bounds.push_back(
          {fmt::format("channel of a replacement of {}, beside that of the worker that died", worker.request.name),
           channel.bytes()});
  }

  /// A spare gets its channel when it takes the place of a worker that died: it is a replacement then.
  void add_process(const WorkerPlan& worker, std::string_view spare, bool with_model) {
    if (const auto file = model_file(worker.request); with_model && !file.empty()) {
      std::error_code missing;  // said by whoever opens it
      const auto bytes = std::filesystem::file_size(file, missing);
      if (!missing)
        plan_.bounds.push_back({fmt::format("{}model of {}: the size of {}", spare, worker.request.name, file), bytes});
    }
    const bool fake = std::holds_alternative<FakeModel>(worker.request.model);
    plan_.bounds.push_back({fmt::format("{}process of {} (estimate, without its model)", spare, worker.request.name),
                            fake ? kFakeWorkerBytes : kTorchWorkerBytes});
  }

  void say_what_survives() {
    const auto segments = [](std::uint32_t count) { return fmt::format("{} segment{}", count, count == 1 ? "" : "s"); };
    std::vector<std::string>& lines = plan_.survival;
    if (plan_.failure.on_worker_failure == OnWorkerFailure::fail) {
      lines.emplace_back("a worker that dies ends the run ('on_worker_failure: fail')");
      return;
    }
    lines.push_back(
        fmt::format("while a worker is replaced the others go on for up to {} ('slots')", segments(plan_.arena.slots)));
    if (plan_.training)
      lines.push_back(fmt::format("a replacement learns up to {} again ('train.checkpoint_segments')",
                                  segments(plan_.checkpoint_segments)));
    if (plan_.failure.on_worker_failure == OnWorkerFailure::degrade)
      lines.emplace_back("a member that uses up its restarts is left out ('on_worker_failure: degrade')");
  }

  static std::string model_file(const MemberRequest& request) {
    const auto* script = std::get_if<TorchScriptModel>(&request.model);
    return script != nullptr ? script->path : request.weights;
  }

  static std::uint32_t known_width(const ModelKind& model) {
    if (const auto* cnn = std::get_if<SmallCnnModel>(&model)) return cnn->classes;
    if (const auto* mlp = std::get_if<MlpModel>(&model)) return mlp->layers.empty() ? 0 : mlp->layers.back();
    if (const auto* fake = std::get_if<FakeModel>(&model)) return fake->classes;
    return 0;
  }

  const config::EnsembleSpec& spec_;
  const Machine& machine_;
  const InputForm& input_;
  const Options& options_;
  Plan plan_;
  Problems problems_;
};

}  // namespace

GpuSearch gpus_wanted(const config::EnsembleSpec& spec) {
  const bool none = std::all_of(spec.members.begin(), spec.members.end(), [](const config::MemberSpec& member) {
    return std::holds_alternative<config::CpuDevice>(member.device);
  });
  return none ? GpuSearch::no : GpuSearch::yes;
}

std::uint64_t Plan::needed_bytes() const {
  std::uint64_t sum = 0;
  for (const Bound& bound : bounds) sum += bound.bytes;
  return sum;
}

Plan make_plan(const config::EnsembleSpec& spec, const Machine& machine, const InputForm& input,
               const Options& options) {
  return Planner(spec, machine, input, options).make();
}

void check_memory(const Plan& plan) {
  const std::uint64_t needed = plan.needed_bytes();
  if (needed <= plan.available.bytes) return;
  std::string terms;
  for (const Bound& bound : plan.bounds) terms += fmt::format("\n    {:>10}  {}", bytes_text(bound.bytes), bound.name);
  throw Error(ErrorKind::failed, "the ensemble does not fit into memory",
              fmt::format("needed {}, available {} ({}):{}", bytes_text(needed), bytes_text(plan.available.bytes),
                          plan.available.limited_by, terms),
              "lower 'slots' or 'segment_images', use fewer members, or raise the memory limit");
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::array kUnits{"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace tutti
