#include "bench/comparison/contestant.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include <tutti/ensemble.hpp>

#include "common/process_memory.hpp"
#include "common/usable_cores.hpp"
#include "common/wire/spawn_contract.hpp"
#include "config/shards.hpp"
#include "config/stages.hpp"
#include "config/workers.hpp"
#include "coordinator/plan/find_worker.hpp"
#include "coordinator/plan/plan.hpp"
#include "coordinator/plan/segments.hpp"
#include "images/sources.hpp"

namespace tutti::bench {
namespace {

/// Keeps the combined predictions of a run, in memory allocated beforehand.
class KeptAnswer final : public Sink {
 public:
  void write(const SegmentResult& result) override {
    values_.insert(values_.end(), result.values.begin(), result.values.end());
  }
  void clear() { values_.clear(); }
  const std::vector<float>& values() const { return values_; }

 private:
  std::vector<float> values_;
};

/// How the members share a worker; none: each has its own.
std::optional<UnitMode> shared_mode(Contender contender) {
  switch (contender) {
    case Contender::shared:
      return UnitMode::loop;
    case Contender::shared_threads:
      return UnitMode::threads;
    case Contender::shared_fused:
      return UnitMode::fused;
    default:
      return std::nullopt;
  }
}

/// As many workers as the setting has, each on a core of its own (on a GPU: on that), which the members share in turn;
/// or one on all cores, in which each member has a thread. Without sharing, the workers are those of the description.
/// Throws Refused if there is nothing to share, or to fuse.
config::EnsembleSpec sharing(const Field& field, Contender contender, const Setting& setting) {
  config::EnsembleSpec spec = with_setting(field, setting);
  const std::optional<UnitMode> mode = shared_mode(contender);
  if (!mode) return spec;
  const std::size_t workers = setting.between;
  if (spec.members.size() <= workers)
    throw Refused(ErrorKind::usage, "there is nothing to share: every member has a worker of its own");
  for (const config::MemberSpec& member : spec.members)
    if (const auto why = config::why_not_fused(spec.members.front(), member); mode == UnitMode::fused && !why.empty())
      throw Refused(ErrorKind::usage, fmt::format("the members cannot be fused: {}", why));
  spec.workers.assign(workers, {{}, *mode});
  for (std::size_t rank = 0; rank < spec.members.size(); ++rank) {
    const std::size_t worker = rank % workers;
    spec.workers[worker].members.push_back(rank);
    if (!field.cuda)
      spec.members[rank].device =
          mode == UnitMode::threads ? config::CpuDevice{field.cores} : config::CpuDevice{{field.cores[worker]}};
  }
  return spec;
}

class PoolContestant final : public Contestant {
 public:
  PoolContestant(const Field& field, Contender contender, const Setting& setting, const ImageSet& images)
      : ensemble_(Spec(std::make_shared<config::EnsembleSpec>(sharing(field, contender, setting))),
                  pool_options(field)),
        source_(images::make_memory(images.view())) {}

  double pass() override {
    kept_.clear();
    const auto begin = std::chrono::steady_clock::now();
    ensemble_.run(*source_, kept_);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  std::vector<float> answer() const override { return kept_.values(); }
  std::optional<std::uint64_t> pss_bytes() const override {
    auto sum = tutti::pss_bytes(::getpid(), ImageSet::kMapping);
    const Status status = ensemble_.status();
    std::set<int> pids;  // members may share a worker
    for (const MemberStatus& member : status.members) pids.insert(member.pid);
    if (status.fork_server_pid != 0) pids.insert(status.fork_server_pid);
    for (const int pid : pids) {
      const auto bytes = tutti::pss_bytes(pid, ImageSet::kMapping);
      sum = sum && bytes ? std::optional(*sum + *bytes) : std::nullopt;
    }
    return sum;
  }
  std::string backend() const override { return ensemble_.status().members.front().backend; }

 private:
  Ensemble ensemble_;
  std::unique_ptr<Source> source_;
  KeptAnswer kept_;
};

class SingleContestant final : public Contestant {
 public:
  SingleContestant(const Field& field, Contender contender, const Setting& setting, const ImageSet& images)
      : process_(std::string(title(contender)), single_launch(field, setting), images, field.departure),
        backend_(process_.prepare(single_job(field, strategy_of(contender), setting, images, false))) {}

  double pass() override { return process_.run(); }
  std::vector<float> answer() const override { return process_.answer(); }
  std::optional<std::uint64_t> pss_bytes() const override {
    return tutti::pss_bytes(process_.pid(), ImageSet::kMapping);
  }
  std::string backend() const override { return backend_; }

 private:
  SingleProcess process_;
  std::string backend_;
};

std::filesystem::path find_single() {
  try {
    return find_program("tutti-bench-single", {});
  } catch (const Error&) {
    return {};  // the rows of the strategies that need it give the reason
  }
}

/// Checks that all members have the same kind of device: otherwise the strategies would not be comparable.
bool on_cuda(const Plan& plan) {
  const auto count = std::count_if(plan.members.begin(), plan.members.end(),
                                   [](const MemberPlan& member) { return member.request.cuda; });
  const bool one_device = std::all_of(plan.workers.begin(), plan.workers.end(), [&](const WorkerPlan& worker) {
    return worker.device == plan.workers.front().device;
  });
  if (count == 0) return false;
  if (!one_device)
    throw Error(ErrorKind::usage,
                "the members are on several devices, which a single process cannot use in the same way", {},
                "give all members CPU cores, or the same GPU: 'assignment: cuda:0'");
  return true;
}

std::vector<int> cores_of(const Plan& plan, const Machine& machine) {
  std::vector<int> cores;
  for (const WorkerPlan& worker : plan.workers) {
    if (worker.cores.empty()) return machine.cores;
    cores.insert(cores.end(), worker.cores.begin(), worker.cores.end());
  }
  std::sort(cores.begin(), cores.end());
  cores.erase(std::unique(cores.begin(), cores.end()), cores.end());
  return cores;
}

/// The images come from memory, as `form` says. If workers prepare them, each member gets what it does to them as an
/// `input`: images from memory have no `preprocess`. No worker is replaced, since that would only look slow.
config::EnsembleSpec from_memory(config::EnsembleSpec spec, const InputForm& form) {
  if (workers_prepare(spec, spec.input))
    for (config::MemberSpec& member : spec.members)
      if (!member.input) member.input = MemberInput{{}, spec.input.preprocess.mean, spec.input.preprocess.std};
  config::InputSpec memory;
  const TensorLayout& image = form.tensors.front().layout;
  memory.shape = image_shape(image).value();
  memory.has_bytes = image.dtype == Dtype::uint8;
  spec.input = memory;
  spec.train_input = memory;
  spec.save_members = false;
  spec.failure.on_worker_failure = OnWorkerFailure::fail;
  spec.failure.spares = Spares::none;
  return spec;
}

}  // namespace

Field make_field(const config::EnsembleSpec& spec, const std::filesystem::path& worker,
                 const std::filesystem::path& single, Departure& departure) {
  if (spec.combine.rule == CombineRule::none)
    throw Error(ErrorKind::usage, "rule none has no combined predictions to compare", {},
                "set 'combine.rule', for example to mean");
  if (!spec.input.tensors.empty())
    throw Error(ErrorKind::usage, "'tutti bench' compares ensembles of images",
                "'input' has 'inputs', which are tensors",
                "'tutti run' and its report say how fast such an ensemble is");
  for (const config::MemberSpec& member : spec.members)
    if (is_saved(facts_of(member.model.kind)))
      throw Error(
          ErrorKind::usage,
          fmt::format("'{}' has saved predictions, and 'tutti bench' compares how fast models run", member.name), {},
          "leave the member out to compare");
  for (const config::MemberSpec& member : spec.members)
    if (config::has_stages(member))
      throw Error(
          ErrorKind::usage,
          fmt::format("'{}' has '{}', which the other strategies do not have", member.name, config::chain_key(member)),
          {}, "leave the member out to compare; 'tutti run' and its report say how fast it is");
  for (const config::MemberSpec& member : spec.members)
    if (!member.views.empty())
      throw Error(ErrorKind::usage,
                  fmt::format("'{}' has 'views', which the other strategies do not have", member.name), {},
                  "leave 'views' out to compare");
  const InputForm input = input_form(spec, spec.input);
  const config::EnsembleSpec cut = with_segment(spec, input, false);
  const Machine machine = look_at_machine(worker, GpuSearch::yes);
  const Plan plan = make_plan(cut, machine, input, {worker, {}, false});
  Field field{.spec = from_memory(cut, input),
              .worker = worker,
              .single = single.empty() ? find_single() : std::filesystem::absolute(single),
              .machine = machine,
              .cores = cores_of(plan, machine),
              .cuda = on_cuda(plan),
              .departure = departure};
  field.spec.measure_batch_images = false;  // the setting fixes the batch: see batches_to_try()
  field.usable_cores = cores_worth(field.cores.size(), machine.cpu_quota);
  return field;
}

Options pool_options(const Field& field) {
  Options options{.worker = field.worker, .debug_member = {}};
  options.cache = field.cache;
  return options;
}

ImageSet read_images(const config::EnsembleSpec& spec, const config::InputSpec& input) {
  const std::unique_ptr<Source> source = open_source(spec, input);
  return ImageSet::read(*source, form_of(*source, spec, input).tensors.front().layout.dtype);
}

config::EnsembleSpec with_setting(const Field& field, const Setting& setting) {
  config::EnsembleSpec spec = field.spec;
  spec.threads = setting.within;
  spec.batch_images = setting.batch_images;
  return spec;
}

SingleJob single_job(const Field& field, Strategy strategy, const Setting& setting, const ImageSet& images,
                     bool training) {
  const Plan plan = make_plan(with_setting(field, setting), field.machine,
                              {images.shape(), images.count(), images.pixel_type()}, {field.worker, {}, training});
  SingleJob job{.strategy = strategy,
                .between = setting.between,
                .images = images.count(),
                .segment_images = field.spec.segment_images,
                .combine = field.spec.combine,
                .weights = plan.weights,
                .members = {}};
  for (const MemberPlan& member : plan.members) job.members.push_back(member.request);
  return job;
}

// The environment of a worker, with its settings of allocator and device, but without those of the threads.
SingleProcess::Launch single_launch(const Field& field, const Setting& setting) {
  SingleProcess::Launch launch{field.single, {}, {}};
  if (field.single.empty())
    throw Refused(ErrorKind::failed, "this build has no tutti-bench-single, which needs LibTorch");
  const Plan plan = make_plan(with_setting(field, setting), field.machine,
                              {field.spec.input.shape, {}, field.spec.input.has_bytes ? Dtype::uint8 : Dtype::float32},
                              {field.worker, {}, false});
  for (const auto& [name, value] : plan.workers.front().environment)
    if (!name.starts_with("OMP_") && !name.starts_with("MKL_")) launch.environment.emplace_back(name, value);
  for (const char* name : {"OMP_NUM_THREADS", "MKL_NUM_THREADS"})
    launch.environment.emplace_back(name, std::to_string(setting.within));
  // The empty libtorch.so before the real one, which needs all of CUDA.
  if (const auto libtorch = chosen_libtorch(); !libtorch.empty())
    launch.environment.emplace_back(
        "LD_LIBRARY_PATH",
        fmt::format("{}:{}", find_plugin(field.single.parent_path(), kTorchStandIn).string(), libtorch.string()));
  if (field.cores != field.machine.cores) launch.cores = field.cores;
  return launch;
}

void trace_pool(const Field& field, const ImageSet& images, const std::filesystem::path& file) {
  Options options = pool_options(field);
  options.trace = file;
  Ensemble ensemble(Spec(std::make_shared<config::EnsembleSpec>(field.spec)), options);
  KeptAnswer dropped;
  ensemble.run(*images::make_memory(images.view()), dropped);
}

std::unique_ptr<Contestant> start(const Field& field, Contender contender, const Setting& setting,
                                  const ImageSet& images) {
  if (is_pool(contender)) return std::make_unique<PoolContestant>(field, contender, setting, images);
  return std::make_unique<SingleContestant>(field, contender, setting, images);
}

}  // namespace tutti::bench
