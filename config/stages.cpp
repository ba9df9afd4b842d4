#include "config/stages.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "common/counted.hpp"
#include "common/tensor_text.hpp"
#include "common/wire/rows.hpp"
#include "config/assignment.hpp"
#include "config/model.hpp"
#include "config/reader.hpp"
#include "config/shards.hpp"
#include "config/steps.hpp"
#include "config/workers.hpp"

namespace tutti::config {
namespace {

/// The index of a segment's rows counts them in 32 bits.
constexpr std::uint64_t kMostSegmentRows = std::numeric_limits<decltype(RowIndexHeader::rows)>::max();

StageSpec read_stage(const Tree& tree, std::optional<Device>& device, Violations& violations) {
  StageSpec stage;
  stage.place.text = tree.position.text();
  Fields fields(tree, "a stage", violations);
  if (const Tree* model = fields.require("model", "such as {kind: torchscript, path: part-0.pt}"); model != nullptr)
    stage.model = read_model(*model, violations);
  read_replicas(fields, stage.workers, violations);
  if (!stage.workers.devices.empty())
    device = stage.workers.devices.front();
  else if (const Tree* named = fields.find("device"); named != nullptr)
    device = read_device(*named, violations);
  fields.refuse("shards", "'shards' cuts the model of a member; of a stage, write each part as a stage, with 'part'");
  fields.finish();
  return stage;
}

/// Where an entry of `stages` that has a model is written, and where the steps behind it are.
struct Positions {
  SourcePosition stage;
  std::vector<SourcePosition> steps{};
};

/// Why a model does not take what the stage before it outputs, as far as the description tells.
std::string why_unfit(const std::optional<Dims>& output, const ModelSpec& second) {
  const KindFacts takes = facts_of(second.kind);
  if (!output || takes.takes != Takes::image) return {};
  const bool image = output->size() == 3;
  if (!takes.images && image) return {};
  const std::optional<ImageShape> shape = image_shape({Dtype::float32, *output});
  if (takes.images && shape && *shape == *takes.images) return {};
  return fmt::format("outputs {}, and a {} takes {}", dims_text(*output), takes.name,
                     takes.images ? "images of " + takes.images->text() : "an image, of three sizes");
}

/// The most rows of a sample behind a stage that computes on at most `rows` of them.
std::uint32_t check_rows(const StageSpec& stage, const Positions& positions, const std::string& name,
                         std::uint32_t rows, Violations& violations) {
  const std::vector<Step> steps = plain_steps(stage.steps);
  if (const auto wrong = misplaced_row_step(steps, rows))
    violations.add(positions.steps[wrong->step], fmt::format("behind '{}', step '{}': {}; {}", name,
                                                             step_name(steps[wrong->step]), wrong->what, wrong->hint));
  return rows_behind(steps, rows);
}

void check_models(const std::vector<StageSpec>& stages, const std::vector<Positions>& positions,
                  const std::string& name, Violations& violations) {
  std::optional<Dims> output;  // of the stage before
  std::uint32_t rows = 0;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const ModelSpec& model = stages[s].model;
    const SourcePosition& position = positions[s].stage;
    const std::string stage = stages.size() == 1 ? name : fmt::format("{}/{}", name, s);
    if (is_saved(facts_of(model.kind)))
      violations.add(position, fmt::format("'{}' has saved predictions, which are no stage: they are computed already; "
                                           "give it a model",
                                           stage));
    if (!model.candidates.empty())
      violations.add(position, fmt::format("the form of '{}' cannot be chosen at the start: a stage has nothing to "
                                           "compute on before the one in front of it runs; name its kind and "
                                           "'backend'",
                                           stage));
    if (const std::string why = s == 0 ? "" : why_unfit(output, model); !why.empty())
      violations.add(position,
                     fmt::format("stages '{}/{}' and '{}/{}' do not fit together: the first {}; put a stage between "
                                 "them, or use another model",
                                 name, s - 1, name, s, why));
    output = check_steps(stages[s].steps, positions[s].steps, facts_of(model.kind).prediction(), stage, violations);
    rows = check_rows(stages[s], positions[s], stage, rows, violations);
    if (output && rows * elements_of(*output) > kMostRowValues)
      violations.add(position, fmt::format("'{}' outputs up to {} of {} for each sample, more than {} values; lower "
                                           "'max' of the step crop_boxes before it",
                                           stage, counted(rows, "row"), dims_text(*output), kMostRowValues));
  }
  const Positions& last = positions.back();
  if (rows > 0)
    violations.add(last.steps.empty() ? last.stage : last.steps.back(),
                   fmt::format("'{}' ends with up to {} for each sample, and a prediction is one; put {{step: reduce}} "
                               "behind its last model",
                               name, counted(rows, "row")));
}

/// The fault 'nonsense' spoils what a worker writes about rows: without any it would do nothing.
void check_nonsense(const ReadMember& read, Violations& violations) {
  const std::vector<std::uint32_t> rows = rows_of_stages(read.spec);
  const std::vector<MemberSpec> members{read.spec};
  const std::vector<NamedModel> models = models_of(members);
  for (std::size_t s = 0; s < models.size(); ++s) {
    const auto* fake = std::get_if<FakeModel>(&models[s].model.kind);
    const bool makes_rows = s + 1 < rows.size() && rows[s + 1] > 0;
    if (fake == nullptr || makes_rows) continue;
    if (std::ranges::count(fake->faults, FaultKind::nonsense, &ScriptedFault::kind) > 0)
      violations.add(read.position,
                     fmt::format("'{}' has the fault 'nonsense', which spoils what is written about the rows of a "
                                 "sample, and makes none; give it to a stage with a step crop_boxes behind it",
                                 models[s].name));
  }
}

/// The stages, each with the steps behind it.
std::vector<StageSpec> read_entries(const Tree& tree, ReadMember& read, std::vector<Positions>& positions,
                                    Violations& violations) {
  std::vector<StageSpec> stages;
  for (const Tree& item : tree.items) {
    if (!is_step(item)) {
      stages.push_back(read_stage(item, read.stage_devices.emplace_back(), violations));
      positions.push_back({item.position});
      read.entries = position_of_output(item);
      continue;
    }
    std::optional<StepSpec> step = read_step(item, violations);
    if (stages.empty()) {
      violations.add(item.position,
                     "the first entry of 'stages' must have a 'model': a step takes what the stage before it outputs; "
                     "'input' of the member prepares images for the first model");
    } else if (step) {
      stages.back().steps.push_back(std::move(*step));
      positions.back().steps.push_back(item.position);
    }
  }
  return stages;
}

}  // namespace

void read_stages(const Tree& tree, Fields& fields, ReadMember& read, Violations& violations) {
  MemberSpec& member = read.spec;
  fields.refuse("model", "a member has one 'model' or several 'stages', not both; the last stage is its model");
  fields.refuse("views",
                "the predictions of views cannot be put together behind several stages; leave 'views' out of "
                "a member with 'stages'");
  fields.refuse("train", "a member with 'stages' is not trained; train the models by themselves");
  if (tree.kind != Tree::Kind::list || tree.items.size() < 2 || tree.items.size() > kMaxStages) {
    violations.add(
        tree.position,
        fmt::format("'stages' must be a list of 2 to {} stages and steps such as [{{model: {{kind: torchscript, path: "
                    "a.pt}}}}, {{model: {{kind: torchscript, path: b.pt}}}}], not {}",
                    kMaxStages,
                    tree.kind == Tree::Kind::list ? fmt::format("one of {}", tree.items.size()) : describe(tree)));
    return;
  }
  const std::size_t before = violations.count();
  std::vector<Positions> positions;
  std::vector<StageSpec> stages = read_entries(tree, read, positions, violations);
  if (violations.count() == before) check_models(stages, positions, member.name, violations);
  if (stages.empty()) return;
  member.model = std::move(stages.back().model);
  member.last = std::move(stages.back().workers);
  member.steps = std::move(stages.back().steps);
  stages.pop_back();
  member.before = std::move(stages);
}

void place_stages(std::vector<ReadMember>& members) {
  for (ReadMember& read : members) {
    if (read.stage_devices.size() != read.spec.before.size() + 1) continue;
    for (std::size_t s = 0; s < read.spec.before.size(); ++s)
      read.spec.before[s].device = read.stage_devices[s].value_or(read.spec.device);
    read.spec.device = read.stage_devices.back().value_or(read.spec.device);
  }
}

void check_stages(const EnsembleSpec& spec, const std::vector<ReadMember>& members, Violations& violations) {
  const auto refuse = [&](const ReadMember& member, std::string_view what) {
    violations.add(member.position,
                   fmt::format("member '{}' has '{}', {}", member.spec.name, chain_key(member.spec), what));
  };
  for (std::size_t rank = 0; rank < members.size(); ++rank) {
    check_nonsense(members[rank], violations);
    if (!has_stages(members[rank].spec)) continue;
    if (spec.measure_batch_images && has_rows(members[rank].spec))
      refuse(members[rank],
             "one of which makes several rows of a sample, and 'batch_images: auto' measures made-up samples, of which "
             "nobody knows how many rows they give: give a number as 'batch_images'");
    if (spec.coalesce && has_rows(members[rank].spec))
      refuse(members[rank],
             "one of which makes several rows of a sample: their batches depend on what shares a segment, which "
             "'coalesce' promises not to matter; leave 'coalesce' out");
    if (const std::uint64_t rows = most_rows(members[rank].spec); rows * spec.segment_images > kMostSegmentRows)
      refuse(members[rank],
             fmt::format("one of which makes up to {} of each of the {} of a segment, more than {} rows: "
                         "lower 'segment_images', or 'max' of the step crop_boxes",
                         counted(rows, "row"), counted(spec.segment_images, "image"), kMostSegmentRows));
    if (!members[rank].spec.views.empty())
      refuse(members[rank],
             "behind which the predictions of 'views' cannot be put together: name 'views' at the other "
             "members instead of for all");
    for (const UnitSpec& unit : spec.workers)
      if (std::ranges::count(unit.members, rank) > 0)
        refuse(members[rank],
               "which have workers of their own: leave it out of 'workers', and give 'replicas' to the "
               "stage that needs them");
    if (spec.merge && std::ranges::count(spec.merge->over, rank) > 0)
      refuse(members[rank], "which are not merged: name other members in 'over' of 'merge'");
  }
}

std::vector<std::uint32_t> rows_of_stages(const MemberSpec& member) {
  std::vector<std::uint32_t> rows{0};
  for (const StageSpec& stage : member.before) rows.push_back(rows_behind(plain_steps(stage.steps), rows.back()));
  return rows;
}

std::uint32_t most_rows(const MemberSpec& member) { return std::ranges::max(rows_of_stages(member)); }

bool has_rows(const MemberSpec& member) { return most_rows(member) > 0; }

bool has_stages(const MemberSpec& member) { return !member.before.empty() || !member.steps.empty(); }

std::string stage_name(const MemberSpec& member, std::size_t stage) { return fmt::format("{}/{}", member.name, stage); }

MemberSpec first_stage(const MemberSpec& member) {
  MemberSpec first = member;
  if (!member.before.empty()) first.model = member.before.front().model;
  return first;
}

std::vector<MemberSpec> stages_before(const std::vector<MemberSpec>& members) {
  std::vector<MemberSpec> stages;
  for (const MemberSpec& member : members)
    for (std::size_t s = 0; s < member.before.size(); ++s) {
      MemberSpec stage = member;
      stage.name = stage_name(member, s);
      stage.model = member.before[s].model;
      stage.device = member.before[s].device;
      stage.last = member.before[s].workers;
      stage.steps = member.before[s].steps;
      stage.before.clear();
      stages.push_back(std::move(stage));
    }
  return stages;
}

std::vector<NamedModel> models_of(const std::vector<MemberSpec>& members) {
  std::vector<NamedModel> models;
  for (const MemberSpec& member : members) {
    for (std::size_t s = 0; s < member.before.size(); ++s)
      models.push_back({stage_name(member, s), member.before[s].model});
    models.push_back({member.before.empty() ? member.name : stage_name(member, member.before.size()), member.model});
  }
  return models;
}

std::uint32_t workers_in_chain(const MemberSpec& member) {
  std::uint32_t workers = member.last.replicas;
  for (const StageSpec& stage : member.before) workers += stage.workers.replicas;
  return workers;
}

std::uint32_t slots_for_stages(const std::vector<MemberSpec>& members) {
  std::uint32_t most = 1;
  for (const MemberSpec& member : members) {
    if (!has_stages(member)) continue;
    most = std::max(most, 2 * workers_in_chain(member));
  }
  return most;
}

}  // namespace tutti::config
