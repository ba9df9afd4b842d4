#include "coordinator/plan/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include <tutti/error.hpp>

#include "common/bytes_text.hpp"
#include "common/counted.hpp"
#include "common/resample.hpp"
#include "common/tensor_text.hpp"
#include "config/checks.hpp"
#include "config/failure.hpp"
#include "config/input.hpp"
#include "config/steps.hpp"
#include "config/takes.hpp"
#include "config/view_checks.hpp"
#include "coordinator/plan/find_python.hpp"
#include "coordinator/plan/memory_bounds.hpp"
#include "coordinator/plan/placement.hpp"
#include "coordinator/plan/saved.hpp"
#include "coordinator/plan/segments.hpp"
#include "coordinator/plan/threads.hpp"
#include "coordinator/plan/units.hpp"
#include "images/arrays.hpp"
#include "images/sources.hpp"

namespace tutti {
namespace {

/// The `input` that the members are fed from.
const config::InputSpec& whole_input(const config::EnsembleSpec& spec, const Options& options) {
  return options.training ? spec.train_input : spec.input;
}

/// The bounds of what only the files of a data set tell.
void check_sample(const InputForm& input) {
  if (input.tensors.size() > config::kMaxTensors)
    throw Error(ErrorKind::usage, fmt::format("a sample has {}", counted(input.tensors.size(), "tensor")),
                fmt::format("the most are {}", config::kMaxTensors),
                "name those that the members take in 'inputs': {x: samples.npz:x}");
  std::uint64_t values = 0;
  for (const TensorLayout& array : arrays_of(input)) values += array.elements();
  if (values > kMaxImageElements)
    throw Error(ErrorKind::usage, fmt::format("a sample has {}", counted(values, "value")),
                fmt::format("{}; the most are {}", sample_text(input.tensors), kMaxImageElements),
                "make the samples smaller, or leave tensors out");
}

void check_tiles(const config::InputSpec& whole, const Options& options) {
  if (whole.tiles && options.training)
    throw Error(ErrorKind::usage, "members cannot be trained on 'tiles'",
                "the images of 'train' are those of 'input', which has 'tiles'",
                "give 'train' an 'input' without 'tiles'");
}

/// The part of the plan that does not depend on single members.
Plan frame_of(const config::EnsembleSpec& spec, const Machine& machine, const InputForm& input,
              const Options& options) {
  check_sample(input);
  check_tiles(whole_input(spec, options), options);
  Plan plan;
  plan.combine = spec.combine;
  if (!options.training) {
    plan.cascade = spec.cascade;
    plan.quorum = spec.quorum;
  }
  plan.arena = {spec.slots, spec.segment_images, arrays_of(input)};
  plan.arena.later_rounds = static_cast<std::uint32_t>(plan.cascade.size());
  plan.input = input;
  const config::InputSpec& whole = whole_input(spec, options);
  if (whole.dataset == config::Dataset::folder || config::resizes_pictures(whole))
    plan.decode_threads = whole.tiles ? 1 : images::decode_threads(whole.decode_threads);
  plan.turns_pictures = whole.orientation == Orientation::exif;
  plan.saves_members = spec.save_members || spec.combine.rule == CombineRule::none;
  plan.scores_tiles = whole.tiles && !whole.labels.empty();
  plan.failure = spec.failure;
  plan.training = options.training;
  // A description that was read from YAML keeps this bound; one that was built in code may not.
  plan.checkpoint_segments = std::min(spec.checkpoint_segments, config::most_checkpoint_segments(plan.arena.slots));
  plan.debugging = !options.debug_member.empty();
  plan.start_deadline = std::chrono::duration<double>(spec.start_deadline);
  plan.stop_deadline = std::chrono::duration<double>(spec.stop_deadline);
  plan.available = machine.memory;
  return plan;
}

/// What the worker must do to an image of the arena; nothing if its member takes it unchanged. `decoded`: it is of a
/// plane that was made for this member.
std::optional<MemberInput> input_of(const config::MemberSpec& member, const config::EnsembleSpec& spec,
                                    const config::InputSpec& whole, const TensorLayout& stored, bool decoded) {
  MemberInput input;
  if (member.input) {
    input = *member.input;
  } else if (workers_prepare(spec, whole) && !config::is_prepared(whole)) {
    input.mean = whole.preprocess.mean;
    input.std = whole.preprocess.std;
  }
  // The reader of the configuration has already checked this if it knows the images.
  const config::Misfit wrong =
      decoded ? config::misfit_of_picture(input, whole) : config::misfit(input, image_shape(stored).value());
  if (!wrong.what.empty())
    throw Error(ErrorKind::usage, fmt::format("{}: {}", member.name, wrong.what), {}, wrong.hint);
  if (decoded) input.resize = {};  // that is how its plane is made
  const bool nothing = stored.dtype == Dtype::float32 && input == MemberInput{};
  return nothing ? std::nullopt : std::optional(input);
}

/// The images of a data set, as often as the member takes them.
std::vector<TakenTensor> images_taken(const config::MemberSpec& member, const config::EnsembleSpec& spec,
                                      const config::InputSpec& whole, const Plan& plan) {
  const bool decoded = !plan.input.planes.empty();
  const std::uint32_t array = plane_of(plan.input.planes, member, whole);
  TakenTensor taken = TakenTensor::unchanged(plan.arena.arrays[array], array);
  taken.input = input_of(member, spec, whole, taken.stored, decoded);
  if (taken.input) taken.seen = resized_shape(taken.input->resize, image_shape(taken.stored).value()).layout();
  return std::vector<TakenTensor>(std::max<std::size_t>(1, member.takes.size()), taken);
}

void refuse_misfit(const config::Misfit& wrong) {
  if (!wrong.what.empty()) throw Error(ErrorKind::usage, wrong.what, {}, wrong.hint);
}

/// Those at `places` of samples that are tensors: as they are, except for images that the member's `input` prepares.
std::vector<TakenTensor> tensors_taken(const config::MemberSpec& member, const std::vector<std::size_t>& places,
                                       const InputForm& input) {
  std::vector<NamedLayout> chosen;
  for (const std::size_t place : places) chosen.push_back(input.tensors[place]);
  const config::SeenTensors seen = config::seen_tensors(member, chosen);
  refuse_misfit(seen.wrong);
  std::vector<TakenTensor> taken;
  for (std::size_t t = 0; t < places.size(); ++t) {
    taken.push_back(TakenTensor::unchanged(chosen[t].layout, static_cast<std::uint32_t>(places[t])));
    if (std::ranges::find(seen.prepared, t) == seen.prepared.end()) continue;
    taken.back().seen = seen.layouts[t];
    const bool nothing = chosen[t].layout.dtype == Dtype::float32 && *member.input == MemberInput{};
    if (!nothing) taken.back().input = member.input;
  }
  return taken;
}

std::vector<TakenTensor> taken_by(const config::MemberSpec& member, const config::EnsembleSpec& spec,
                                  const config::InputSpec& whole, const Plan& plan) {
  // Only their numbers are read, which go with every array.
  if (is_saved(facts_of(member.model.kind))) return {TakenTensor::unchanged(plan.arena.arrays.front())};
  // The reader of the configuration has already checked this if it knows the tensors.
  const config::TakenNames names = config::taken_names(member, names_of(plan.input.tensors));
  refuse_misfit(names.wrong);
  std::vector<TakenTensor> taken =
      whole.tensors.empty() ? images_taken(member, spec, whole, plan) : tensors_taken(member, names.places, plan.input);
  for (std::size_t t = 0; t < member.takes.size(); ++t) taken[t].as = member.takes[t].as;
  return taken;
}

/// The reader of the configuration has already checked this if it knows the images.
void check_views(const config::MemberSpec& member, const MemberRequest& request) {
  if (request.views.empty()) return;
  const std::string& place = member.views_place.text;
  const auto refuse = [&](const std::string& what, const std::string& detail, const std::string& hint) {
    throw Error(ErrorKind::usage, fmt::format("{}{}{}: {}", place, place.empty() ? "" : ": ", member.name, what),
                detail, hint);
  };
  ImageShape image;
  try {
    image = viewed_images(request);
  } catch (const Error& error) {
    refuse(error.message(), error.detail(), error.hint());
  }
  for (const View& view : request.views)
    if (const ViewProblem problem = problem_of(view, image); !problem.what.empty())
      refuse(problem.what, {}, problem.hint);
  if (const auto other = config::other_size(member, image)) refuse(other->problem.what, {}, other->problem.hint);
}

/// Without batches, threads and device. `feeder`: of a stage that is not the first, the one before it.
MemberRequest request_of(const config::MemberSpec& member, const config::EnsembleSpec& spec, const Options& options,
                         const Plan& plan, const config::MemberSpec* feeder) {
  const config::InputSpec& whole = whole_input(spec, options);
  MemberRequest request;
  request.name = member.name;
  request.model = member.model.kind;
  if (ComputedBy* const backend = backend_of(request.model); backend != nullptr && options.training)
    *backend = ComputedBy::torch;
  request.weights = options.training ? member.train.init.string() : member.model.weights.string();
  request.seed = member.seed;
  if (!options.training) request.saved = find_saved(member, plan.input);
  if (feeder == nullptr) {
    request.takes = taken_by(member, spec, whole, plan);
  } else {
    // One value where only the loaded model knows what it outputs: the worker is told once that is ready.
    request.takes = {TakenTensor::unchanged({Dtype::float32, config::known_prediction(*feeder).value_or(Dims{1})})};
    request.fed_by = feeder->name;
  }
  request.steps = config::plain_steps(member.steps);
  for (const StepSpec& step : member.steps) request.step_places.push_back(step.place.text);
  request.views = member.views;
  check_views(member, request);
  request.output = member.output;
  request.over = spec.combine.over;
  request.axis = spec.combine.axis;
  request.activation = spec.combine.activation;
  request.copy_input = member.copy_input;
  request.max_memory = member.max_memory;
  request.train_batch_images = member.train.batch_images;
  request.learning_rate = member.train.learning_rate;
  request.bootstrap = member.train.bootstrap;
  request.learns = member.train.learns;
  return request;
}

MemberPlan member_plan(const config::MemberSpec& member, MemberRequest request, bool cuda) {
  MemberPlan plan;
  plan.request = std::move(request);
  plan.request.cuda = cuda;
  plan.assigned = config::to_text(member.device);
  plan.epochs = member.train.epochs;
  plan.weights = member.model.weights;
  plan.forms = member.model.tried.forms;
  return plan;
}

void check_debug_member(const Plan& plan, const std::string& debug_member) {
  const bool known =
      std::ranges::any_of(plan.members, [&](const MemberPlan& member) { return member.request.name == debug_member; });
  if (!debug_member.empty() && !known)
    throw Error(ErrorKind::usage, fmt::format("there is no member '{}' to debug", debug_member));
}

/// By worker, whether the fork server makes it. It pays off for two or more workers that load the same libraries in the
/// same environment: the server costs as much as one worker saves.
std::vector<bool> choose_forked(const Plan& plan, StartMethod method, const std::string& debug_member) {
  std::vector<bool> forked(plan.workers.size());
  if (method == StartMethod::spawn) return forked;
  const WorkerPlan* first = nullptr;
  for (std::size_t w = 0; w < plan.workers.size(); ++w) {
    const WorkerPlan& worker = plan.workers[w];
    const bool debugged =
        std::ranges::any_of(worker.members, [&](Rank rank) { return plan.request_of(rank).name == debug_member; });
    forked[w] = plan.libraries_of(worker).contains(Library::torch) && !worker.cuda && !debugged &&
                (first == nullptr || worker.environment == first->environment);
    if (forked[w] && first == nullptr) first = &worker;
  }
  if (method == StartMethod::automatic && std::count(forked.begin(), forked.end(), true) == 1)
    forked.assign(forked.size(), false);
  return forked;
}

/// For people: what continues, and for how long, when a worker dies.
std::vector<std::string> survival_of(const Plan& plan) {
  if (plan.failure.on_worker_failure == OnWorkerFailure::fail)
    return {"a worker that dies ends the run ('on_worker_failure: fail')"};
  const auto segments = [](std::uint32_t count) { return counted(count, "segment"); };
  std::vector<std::string> lines{fmt::format("while a worker is replaced, the others continue for up to {} ('slots')",
                                             segments(plan.arena.slots))};
  if (std::ranges::any_of(plan.workers, [&](const WorkerPlan& worker) { return plan.replicas_of(worker) > 1; }))
    lines.emplace_back("the segments of a replica that dies or is late go to the other replicas of its members");
  if (plan.training)
    lines.push_back(fmt::format("a replacement trains on up to {} again ('train.checkpoint_segments')",
                                segments(plan.checkpoint_segments)));
  if (std::ranges::any_of(plan.members, &MemberPlan::feeds))
    lines.emplace_back("a stage that dies computes again on what the stage before it has output; that is not repeated");
  if (plan.failure.on_worker_failure == OnWorkerFailure::degrade)
    lines.emplace_back("a member that uses up its restarts is left out ('on_worker_failure: degrade')");
  return lines;
}

/// How many rows of a sample a stage computes on, and which picture it cuts. The reader of the configuration has
/// already checked the order of the steps.
void add_rows(MemberRequest& request, const Part& part, const std::vector<Part>& parts,
              const config::EnsembleSpec& spec, const Options& options, const Plan& plan) {
  request.fed_rows = part.fed_rows;
  const bool crops =
      std::ranges::any_of(request.steps, [](const Step& step) { return std::holds_alternative<CropBoxesStep>(step); });
  if (!crops || !part.fed_by) return;
  const Part* first = &part;
  while (first->fed_by) first = &parts[first->fed_by->value()];
  request.picture = taken_by(first->spec, spec, whole_input(spec, options), plan).front();
}

void place_members(Plan& plan, const config::EnsembleSpec& spec, const Machine& machine, const Options& options) {
  if (options.training) refuse_training_stages(spec);
  std::vector<std::string> problems;
  std::vector<std::pair<std::string, Placement>> placements;
  const std::vector<Part> parts = parts_of(spec);
  for (const Part& part : parts) {
    const config::MemberSpec& member = part.spec;
    MemberRequest request =
        request_of(member, spec, options, plan, part.fed_by ? &parts[part.fed_by->value()].spec : nullptr);
    if (part.feeds) request.over = request.output;
    add_rows(request, part, parts, spec, options, plan);
    const Placement placement = place(member, machine);
    placements.emplace_back(member.name, placement);
    if (!placement.problem.empty()) problems.push_back(placement.problem);
    if (!part.feeds) plan.weights.push_back(static_cast<float>(member.weight));
    if (request.saved && request.saved->type == SavedType::float64)
      plan.notes.push_back(images::float64_remark(std::get<SavedModel>(member.model.kind).predictions));
    plan.members.push_back(member_plan(member, std::move(request), placement.cuda));
    plan.members.back().stage_of = part.stage_of;
    plan.members.back().fed_by = part.fed_by;
    plan.members.back().feeds = part.feeds;
  }
  tell_first_widths(plan);
  for (const config::UnitSpec& unit : units_of(spec, options.training)) {
    const std::size_t first = unit.members.front();
    place_unit(plan, unit, parts[first].spec, placements[first].second, machine, problems);
  }
  for (WorkerPlan& worker : plan.workers)
    for (const Rank rank : worker.members)
      if (const auto python = find_python(parts[rank.value()].spec); !python.empty()) worker.python = python.string();
  raise_placement_problems(problems);
  check_saved_shapes(spec, plan);
  for (std::string& note : notes_of(placements)) plan.notes.push_back(std::move(note));
}

void give_batches(Plan& plan, const config::EnsembleSpec& spec, const Options& options) {
  const Chains chains = plan.chains();
  for (const Rank rank : IdRange<Rank>(plan.members.size())) {
    MemberPlan& member = plan.members[rank.value()];
    const std::size_t whole = chains.chain_of(rank).back().value();  // its stages have one batch
    const BatchRange range = batch_range(plan.batches, spec, options, whole, member.request.cuda);
    member.most_batch_images = range.most;
    set_batch(plan, member.request, range.first);
  }
}

void give_threads(Plan& plan, std::uint32_t wanted, const Machine& machine, const Environment& given) {
  std::vector<std::vector<int>> core_sets;
  for (const WorkerPlan& worker : plan.workers) core_sets.push_back(worker.cores);
  const std::vector<ThreadShare> shares = share_threads(core_sets, wanted, machine);
  for (std::size_t w = 0; w < plan.workers.size(); ++w) {
    WorkerPlan& worker = plan.workers[w];
    ThreadShare share = shares[w];
    // Members that compute at the same time share the worker's threads.
    if (worker.mode == UnitMode::threads)
      share.threads = std::max<std::uint32_t>(1, share.threads / static_cast<std::uint32_t>(worker.members.size()));
    // Replicas compute the same bits only with the same number of threads.
    for (std::size_t other = 0; other < w; ++other)
      if (plan.workers[other].members == worker.members)
        share.threads = std::min(share.threads, plan.request_of(worker.members.front()).threads);
    for (const Rank rank : worker.members) plan.members[rank.value()].request.threads = share.threads;
    worker.shares_cores = share.shares_cores;
  }
  for (std::size_t w = 0; w < plan.workers.size(); ++w) {
    WorkerPlan& worker = plan.workers[w];
    const std::uint32_t threads = plan.request_of(worker.members.front()).threads;
    const Environment more = environment_of({threads, worker.shares_cores}, worker.cuda);
    worker.environment.insert(worker.environment.end(), more.begin(), more.end());
    worker.environment.insert(worker.environment.end(), given.begin(), given.end());  // of two, the first counts
  }
}

/// Threads that share a core wait for each other at every step of a network.
void note_crowded(Plan& plan, const Machine& machine) {
  std::vector<std::string> names;
  for (const WorkerPlan& worker : plan.workers) {
    const std::size_t cores = worker.cores.empty() ? machine.cores.size() : worker.cores.size();
    if (!worker.cuda && plan.request_of(worker.members.front()).threads > cores) names.push_back(plan.name_of(worker));
  }
  if (names.empty()) return;
  plan.notes.push_back(
      fmt::format("{}: more threads than cores; they wait for each other at every step, which takes far "
                  "longer: lower 'threads', or give more cores",
                  fmt::join(names, ", ")));
}

}  // namespace

Plan make_plan(const config::EnsembleSpec& described, const Machine& machine, const InputForm& input,
               const Options& options) {
  const config::EnsembleSpec spec = with_segment(described, input, options.training);
  Plan plan = frame_of(spec, machine, input, options);
  const BatchSource source = choose_batch_source(spec, options);
  plan.batches = source.batches;
  if (!source.note.empty()) plan.notes.push_back(source.note);
  place_members(plan, spec, machine, options);
  check_debug_member(plan, options.debug_member);
  give_batches(plan, spec, options);
  give_threads(plan, spec.threads, machine, options.environment);
  note_crowded(plan, machine);
  const std::vector<bool> forked = choose_forked(plan, spec.start_method, options.debug_member);
  for (std::size_t worker = 0; worker < forked.size(); ++worker) plan.workers[worker].forked = forked[worker];
  plan.bounds = memory_bounds(plan, !options.trace.empty());
  plan.survival = survival_of(plan);
  return plan;
}

void set_batch(const Plan& plan, MemberRequest& request, std::uint32_t batch_images) {
  request.batch_images = batch_images;
  request.warm_up_batches = short_batches(plan.arena, plan.input.images, batch_images);
}

}  // namespace tutti
