#include "config/members.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "config/input.hpp"
#include "config/model.hpp"
#include "config/processor.hpp"
#include "config/reader.hpp"
#include "config/shards.hpp"
#include "config/stages.hpp"
#include "config/steps.hpp"
#include "config/takes.hpp"

namespace tutti::config {
namespace {

constexpr NumberRule kLearningRate = kPositive;

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

std::string member_name_problem(const std::string& name) {
  if (name.find_first_not_of("0123456789") == std::string::npos)
    return fmt::format("the name '{}' would be taken for a rank in 'assignment'; add a letter", name);
  return name_problem(name);
}

void read_name(Fields& fields, std::size_t rank, MemberSpec& member, Violations& violations) {
  fields.require("name", fmt::format("a word such as cnn-{}", rank));
  fields.text("name", member.name);
  if (member.name.empty()) return;
  if (std::string problem = member_name_problem(member.name); !problem.empty())
    violations.add(fields.position_of("name"), std::move(problem));
}

/// If the steps behind the last model decide what comes out of them, the key may only repeat it.
void read_output_of_steps(Fields& fields, MemberSpec& member, Violations& violations) {
  const auto decided = output_of_steps(member);
  member.output_is_written.value = decided || fields.find("output") != nullptr;
  if (decided) member.output = *decided;
  fields.choice("output", member.output);
  if (decided && member.output != *decided)
    violations.add(fields.position_of("output"),
                   fmt::format("behind the steps of '{}' there are {}; leave 'output' out, or change the steps",
                               member.name, to_name(*decided)));
}

/// If the model decides what it outputs, the key may only repeat it.
void read_output(Fields& fields, MemberSpec& member, Violations& violations) {
  if (!member.steps.empty()) return read_output_of_steps(fields, member, violations);
  const KindFacts facts = facts_of(member.model.kind);
  if (!facts.output) {
    member.output_is_written.value = fields.find("output") != nullptr;
    return fields.choice("output", member.output);
  }
  const OutputKind answers = facts.output->kind;
  member.output = answers;
  fields.choice("output", member.output);
  if (member.output == answers) return;
  violations.add(
      fields.position_of("output"),
      facts.output->chosen_by.empty()
          ? fmt::format("{} always outputs {}; leave 'output' out", facts.name, to_name(answers))
          : fmt::format("a {} with 'output: {}' in its 'model' outputs {}; leave this 'output' out, or change the "
                        "one in its 'model'",
                        facts.name, facts.output->chosen_by, to_name(answers)));
}

void read_own_train(Fields& fields, MemberSpec& member, Violations& violations) {
  if (const Tree* tree = fields.find("train"); tree != nullptr) {
    Fields train(*tree, "'train' of a member", violations);
    read_train(train, member.train, violations);
    train.refuse("input", "'input' belongs to the top-level 'train': all members learn from one stream");
    train.refuse("checkpoint_segments",
                 "'checkpoint_segments' belongs to the top-level 'train': all members share the slots that bound it");
    train.finish();
  }
}

void set_views(const ReadViews& views, ReadMember& member) {
  member.spec.views = views.views;
  member.views = views.positions;
  if (!views.positions.empty()) member.spec.views_place.text = views.positions.front().text();
}

ReadMember read_member(const Tree& tree, std::size_t rank, const MemberDefaults& defaults, Violations& violations) {
  const std::size_t before = violations.count();
  ReadMember read{.spec = {}, .position = tree.position};
  MemberSpec& member = read.spec;
  member.train = defaults.train;
  member.seed = defaults.seed + rank;  // wraps around: any 64 bits are a valid seed
  const std::string what = fmt::format("member {}", rank);
  Fields fields(tree, what, violations);
  read_name(fields, rank, member, violations);
  const std::size_t before_model = violations.count();
  const Tree* const shards = fields.find("shards");
  if (shards != nullptr) read_shards(*shards, fields, read, violations);
  if (const Tree* stages = shards == nullptr ? fields.find("stages") : nullptr; stages != nullptr)
    read_stages(*stages, fields, read, violations);
  else if (const Tree* model = fields.require("model", "such as {kind: small-cnn}"); model != nullptr)
    member.model = read_model(*model, violations);
  if (!has_stages(member)) read.entries = position_of_output(tree);
  // If the model could not be read, it is unknown whether it decides what it outputs.
  if (violations.count() == before_model)
    read_output(fields, member, violations);
  else
    fields.find("output");
  fields.number("weight", member.weight, kAnyNumber);
  ReadTakes takes = read_takes(fields, violations);
  member.takes = std::move(takes.takes);
  read.takes = std::move(takes.positions);
  if (const Tree* input = fields.find("input"); input != nullptr)
    member.input = read_member_input(*input, member.prepares, violations);
  const Tree* views = fields.find("views");
  set_views(views != nullptr ? read_views(*views, violations) : defaults.views, read);
  fields.boolean("copy_input", member.copy_input);
  fields.bytes("max_memory", member.max_memory);
  fields.whole("seed", member.seed, 0);
  read_own_train(fields, member, violations);
  fields.finish();
  read.sound = violations.count() == before;
  return read;
}

void refuse_twins(std::vector<ReadMember>& members, Violations& violations) {
  for (std::size_t later = 1; later < members.size(); ++later)
    for (std::size_t first = 0; first < later; ++first) {
      const std::string& name = members[later].spec.name;
      if (name.empty() || name != members[first].spec.name) continue;
      violations.add(members[later].position,
                     fmt::format("member {} is called '{}' like member {}; names must differ", later, name, first));
      members[later].sound = false;
      break;
    }
}

void take_input_of_folder(const std::string& folder, ReadMember& member, Violations& violations) {
  try {
    member.spec.input = processor_input(folder);
  } catch (const Error& error) {
    violations.add(member.position, fmt::format("member '{}': {}{}{}{}{}", member.spec.name, error.message(),
                                                error.detail().empty() ? "" : "; ", error.detail(),
                                                error.hint().empty() ? "" : "; ", error.hint()));
    member.sound = false;
  }
}

}  // namespace

bool fits_in_name(char c) { return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-'; }

std::string name_problem(const std::string& name, std::string_view whose) {
  if (!std::all_of(name.begin(), name.end(), fits_in_name))
    return fmt::format("the name '{}'{} may contain only letters, digits, '_', '.' and '-'", name, whose);
  if (!is_letter_or_digit(name.front()) && name.front() != '_')
    return fmt::format("the name '{}'{} must start with a letter, a digit or '_'", name, whose);
  if (name.size() > kMaxNameLength)
    return fmt::format("the name '{}'{} is longer than {} characters", name, whose, kMaxNameLength);
  return {};
}

void read_train(Fields& fields, TrainSpec& train, Violations& violations) {
  fields.whole("epochs", train.epochs, 1);
  if (const Tree* batch = fields.find("batch_images"); batch != nullptr && batch->is_word("auto"))
    violations.add(batch->position,
                   "'batch_images' of 'train' must be a number, not auto: unlike the batch of prediction, it changes "
                   "the trained weights");
  else
    fields.whole("batch_images", train.batch_images, 1);
  fields.number("learning_rate", train.learning_rate, kLearningRate);
  fields.path("init", train.init);
  fields.boolean("bootstrap", train.bootstrap);
}

std::vector<ReadMember> read_members(const Tree& list, const MemberDefaults& defaults, Violations& violations) {
  std::vector<ReadMember> members;
  if (list.kind != Tree::Kind::list || list.items.empty() || list.items.size() > kMaxMembers) {
    violations.add(
        list.position,
        fmt::format("'members' must be a list of 1 to {} members, not {}", kMaxMembers,
                    list.kind == Tree::Kind::list ? fmt::format("one of {}", list.items.size()) : describe(list)));
    return members;
  }
  for (const Tree& item : list.items) members.push_back(read_member(item, members.size(), defaults, violations));
  refuse_twins(members, violations);
  return members;
}

void take_inputs_of_folders(std::vector<ReadMember>& members, Violations& violations) {
  for (ReadMember& member : members) {
    const MemberSpec first = first_stage(member.spec);
    const std::string* const folder = folder_of(first.model.kind);
    if (member.sound && !member.spec.input && folder != nullptr) take_input_of_folder(*folder, member, violations);
  }
}

}  // namespace tutti::config
