#include "coordinator/plan/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/resample.hpp"
#include "config/checks.hpp"
#include "config/failure.hpp"
#include "coordinator/decide/batch_search.hpp"
#include "coordinator/plan/memory_bounds.hpp"
#include "images/sources.hpp"

namespace tutti {
namespace {

// The largest batches that `batch_images: auto` tries. On a CPU the fastest ones fit into a
// core's cache, and the memory of the largest one stays with the process.
constexpr std::uint32_t kMostImagesOnCpu = 128;
constexpr std::uint32_t kMostImagesOnGpu = 1024;

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
      : spec_(spec), machine_(machine), options_(options) {
    plan_.combine = spec.combine;
    plan_.arena = {spec.slots, spec.segment_images, input.shape, input.pixels};
    plan_.images = input.images;
    const config::InputSpec& whole = options.training ? spec.train_input : spec.input;
    if (whole.dataset == config::Dataset::folder) plan_.decode_threads = images::decode_threads(whole.decode_threads);
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
    decide_batches();
    for (const config::MemberSpec& member : spec_.members) place(member);
    problems_.raise();
    check_debug_member();
    for (std::size_t rank = 0; rank < plan_.workers.size(); ++rank) share_cores(plan_.workers[rank]);
    choose_start_method();
    plan_.bounds = memory_bounds(plan_, !options_.trace.empty());
    say_what_survives();
    return std::move(plan_);
  }

 private:
  void decide_batches() {
    check_earlier_batches();
    if (!spec_.measure_batch_images) return;
    if (!options_.batch_images.empty()) {
      plan_.batches = Batches::measured_before;
    } else if (options_.training || plan_.debugging) {
      plan_.notes.push_back(fmt::format("batch_images: auto is {} here: nothing is measured while {}",
                                        std::min(spec_.batch_images, spec_.segment_images),
                                        options_.training ? "members learn" : "a worker is debugged"));
    } else {
      plan_.batches = Batches::to_measure;
    }
  }

  void check_earlier_batches() const {
    const std::vector<std::uint32_t>& earlier = options_.batch_images;
    if (earlier.empty()) return;
    const auto refuse = [](std::string what, std::string hint) {
      throw Error(ErrorKind::usage, std::move(what), {}, std::move(hint));
    };
    if (!spec_.measure_batch_images)
      refuse("batches of an earlier run are given, but 'batch_images' is a number",
             "leave Options::batch_images empty, or set 'batch_images: auto'");
    if (earlier.size() != spec_.members.size())
      refuse(fmt::format("{} of an earlier run given for {}", counted(earlier.size(), "batch"),
                         counted(spec_.members.size(), "member")),
             "give one per member in Options::batch_images, or none to measure");
    for (const std::uint32_t batch : earlier)
      if (batch == 0 || batch > spec_.segment_images)
        refuse(fmt::format("a batch of {} is given for segments of {}", counted(batch, "image"), spec_.segment_images),
               "give at least 1 and at most 'segment_images' in Options::batch_images, or none to measure");
  }

  /// After its device is known.
  void choose_batch(WorkerPlan& worker) const {
    std::uint32_t batch = std::min(spec_.batch_images, spec_.segment_images);
    if (plan_.batches == Batches::measured_before) batch = options_.batch_images[plan_.workers.size()];
    worker.most_batch_images = batch;
    if (plan_.batches == Batches::to_measure) {
      const auto candidates =
          batch_candidates(spec_.segment_images, worker.request.cuda ? kMostImagesOnGpu : kMostImagesOnCpu);
      batch = candidates.front();
      worker.most_batch_images = candidates.back();
    }
    set_batch(plan_, worker.request, batch);
  }

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
    choose_batch(worker);
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

  /// What the worker has to do to an image of the arena; nothing where its member takes it as it is.
  std::optional<MemberInput> input_of(const config::MemberSpec& member) const {
    const config::InputSpec& whole = options_.training ? spec_.train_input : spec_.input;
    MemberInput input;
    if (member.input) {
      input = *member.input;
    } else if (workers_prepare(spec_, whole) && whole.dataset != config::Dataset::memory) {
      input.mean = whole.preprocess.mean;
      input.std = whole.preprocess.std;
    }
    // The reader of the configuration has asked this already where it knows the images.
    if (const config::Misfit wrong = config::misfit(input, plan_.arena.shape); !wrong.what.empty())
      throw Error(ErrorKind::usage, fmt::format("{}: {}", member.name, wrong.what), {}, wrong.hint);
    const bool nothing = plan_.arena.pixels == PixelType::float32 && input == MemberInput{};
    return nothing ? std::nullopt : std::optional(input);
  }

  MemberRequest request_of(const config::MemberSpec& member) const {
    MemberRequest request;
    request.name = member.name;
    request.model = member.model.kind;
    request.weights = options_.training ? member.train.init.string() : member.model.weights.string();
    request.seed = member.seed;
    request.arena_shape = plan_.arena.shape;
    request.arena_pixels = plan_.arena.pixels;
    request.input = input_of(member);
    request.shape = request.input ? resized_shape(request.input->resize, plan_.arena.shape) : plan_.arena.shape;
    request.output = member.output;
    request.over = spec_.combine.over;
    request.copy_input = member.copy_input;
    request.train_batch_images = member.train.batch_images;
    request.learning_rate = member.train.learning_rate;
    request.bootstrap = member.train.bootstrap;
    request.learns = member.train.learns;
    return request;
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
      problems_.add(fmt::format("{}: {} does not exist; {}", worker.request.name, config::to_text(device),
                                machine_.gpus.empty()
                                    ? machine_.why_no_gpu
                                    : fmt::format("this machine has {}", counted(machine_.gpus.size(), "GPU"))));
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

  /// Two workers or more that load the same libraries into the same environment are worth a process that has loaded
  /// them: it costs what one saves.
  void choose_start_method() {
    if (spec_.start_method == StartMethod::spawn) return;
    const WorkerPlan* first = nullptr;
    std::size_t count = 0;
    for (WorkerPlan& worker : plan_.workers) {
      const bool fits = facts_of(worker.request.model).torch && !worker.request.cuda &&
                        worker.request.name != options_.debug_member &&
                        (first == nullptr || worker.environment == first->environment);
      if (!fits) continue;
      worker.forked = true;
      if (++count == 1) first = &worker;
    }
    if (count == 1 && spec_.start_method == StartMethod::automatic)
      for (WorkerPlan& worker : plan_.workers) worker.forked = false;
  }

  void say_what_survives() {
    const auto segments = [](std::uint32_t count) { return counted(count, "segment"); };
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

  const config::EnsembleSpec& spec_;
  const Machine& machine_;
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

// The last batch of a whole segment, and that of the last segment where its length is known.
void set_batch(const Plan& plan, MemberRequest& request, std::uint32_t batch_images) {
  std::vector<std::uint32_t> sizes{plan.arena.images % batch_images};
  if (plan.images) sizes.push_back(static_cast<std::uint32_t>(*plan.images % plan.arena.images) % batch_images);
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  std::erase(sizes, 0U);
  request.batch_images = batch_images;
  request.warm_up_batches = std::move(sizes);
}

std::uint64_t Plan::needed_bytes() const {
  std::uint64_t sum = 0;
  for (const Bound& bound : bounds) sum += bound.bytes;
  return sum;
}

const WorkerPlan* Plan::first_forked() const {
  const auto found =
      std::find_if(workers.begin(), workers.end(), [](const WorkerPlan& worker) { return worker.forked; });
  return found == workers.end() ? nullptr : &*found;
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
