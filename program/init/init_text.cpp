#include "program/init/init_text.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/counted.hpp"
#include "common/values.hpp"
#include "config/input.hpp"
#include "config/shorthand.hpp"
#include "config/yaml.hpp"
#include "program/quick_start.hpp"

namespace tutti::program {
namespace {

using config::Tree;

constexpr std::size_t kWidth = 100;  // of comments
constexpr std::size_t kNamesShown = 12;

/// Sections of YAML with comments before them.
class Page {
 public:
  /// A comment, in lines that begin with "# ". What is in it may come from files and paths.
  Page& say(const std::string& text) {
    std::string line = "#";
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      const std::string word = config::one_line(text.substr(at, end - at));
      if (line.size() > 1 && line.size() + 1 + word.size() > kWidth) {
        text_ += line + "\n";
        line = "#";
      }
      line += " " + word;
      at = end + 1;
    }
    text_ += line + "\n";
    return *this;
  }
  /// A line of YAML that the user may switch on.
  Page& offer(const std::string& yaml) {
    text_ += "# " + yaml + "\n";
    return *this;
  }
  Page& put(std::string_view key, Tree value) {
    Tree map = Tree::map();
    map.set(key, std::move(value));
    text_ += config::emit_yaml(map);
    return *this;
  }
  Page& gap() {
    text_ += "\n";
    return *this;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// The same for all, or nothing.
template <class Range, class Of>
auto common_to(const Range& all, Of of) -> std::optional<decltype(of(all.front()))> {
  for (const auto& one : all)
    if (of(one) != of(all.front())) return std::nullopt;
  return of(all.front());
}

std::string names_text(const std::vector<std::string>& names) {
  const std::vector<std::string> shown(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kNamesShown)));
  return fmt::format("{}{}", fmt::join(shown, ", "), names.size() > kNamesShown ? ", ..." : "");
}

class Writer {
 public:
  explicit Writer(const InitText& init) : init_(init), found_(init.found) {
    output_ = common_to(init.trials, [](const Trial& trial) { return trial.output; }).value_or(Dims{});
    tried_all_ = std::ranges::none_of(init.trials, [](const Trial& trial) { return trial.output.empty(); });
    differ_ = tried_all_ && output_.empty();
    side_ = common_to(init.trials, [](const Trial& trial) { return trial.side; });
    input_ = common_to(found_.models, [](const FoundModel& model) {
      return model.input ? config::emit_yaml(*model.input) : std::string();
    });
  }

  std::string write() {
    const std::string file = init_.file.string();
    page_.say(
        fmt::format("An ensemble that 'tutti init' found. 'tutti plan {0}' says what it needs, 'tutti run {0}' "
                    "predicts. Paths start at the folder in which these commands are called.",
                    file));
    page_.say("docs/configuration.md describes every key.");
    write_members();
    write_defaults();
    write_assignment();
    write_combine();
    write_input();
    write_classes();
    return page_.text();
  }

 private:
  void write_members() {
    page_.gap().say("The models, in rank order.");
    for (std::size_t i = 0; i < found_.models.size(); ++i) {
      const Trial& trial = init_.trials[i];
      const std::string& name = found_.models[i].name;
      if (!trial.output.empty())
        page_.say(fmt::format("- {} outputs [{}] for an image{}.", name, fmt::join(trial.output, ", "),
                              trial.side == 0 ? "" : fmt::format(" of {0}x{0}", trial.side)));
      else if (!trial.problem.empty())
        page_.say(fmt::format("- {} could not be started, so the run will fail until this is corrected: {}", name,
                              trial.problem));
    }
    for (const std::string& problem : found_.problems) page_.say(problem);
    Tree list = Tree::list();
    for (std::size_t i = 0; i < found_.models.size(); ++i) list.items.push_back(member(i));
    page_.put("members", std::move(list));
  }

  Tree member(std::size_t i) const {
    const FoundModel& model = found_.models[i];
    Tree map = Tree::map();
    map.set("name", Tree::text(model.name));
    map.set("model", model.model);
    if (model.input && !input_)
      map.set("input", *model.input);
    else if (!side_ && init_.trials[i].side != 0)
      map.set("input", resized(init_.trials[i].side));
    return map;
  }

  static Tree resized(std::uint32_t side) {
    Tree map = Tree::map();
    map.set("resize", Tree::plain(std::to_string(side)));
    return map;
  }

  /// Whether there is one value for each image, or for each place of it, which is not a choice between classes.
  bool are_numbers() const { return !output_.empty() && output_.front() == 1; }
  /// Whether they are masks or the like, which one class per image says nothing about.
  bool have_places() const { return output_.size() > 1; }
  bool are_towers() const { return found_.models.front().is_tower(); }

  void write_defaults() {
    Tree defaults = Tree::map();
    page_.gap();
    const bool known = input_ && !input_->empty();
    const bool prepared = std::ranges::all_of(found_.models, &FoundModel::prepares_itself);
    if (known) {
      page_.say("How the models want their images; the same for all of them.");
      defaults.set("input", *found_.models.front().input);
    } else if (prepared) {
      page_.say("How the models want their images is in their folders.");
    } else if (input_) {
      page_.say(
          "How the models want their images was not found: no preprocessor_config.json is next to them. If they "
          "were trained on normalised images, predictions are poor without this. Write a preset (" +
          fmt::format("{}", fmt::join(config::preset_names(), ", ")) +
          ") or the numbers of their training under 'defaults':");
      page_.offer("defaults: {input: imagenet}");
      page_.offer(
          "defaults: {input: {resize: 256, crop: 224, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}");
    }
    if (are_numbers() && !are_towers()) {
      page_.say(
          "The models output one value, not a choice between classes. If it is the logit of a yes or a no, write "
          "'combine: {rule: mean, activation: sigmoid}' and leave 'output' out.");
      defaults.set("output", Tree::plain("values"));
    } else if (!are_towers()) {
      page_.say("Outputs are taken for logits. If the models end in a softmax, add to 'defaults':");
      page_.offer("  output: probabilities");
    }
    if (!defaults.entries.empty()) page_.put("defaults", std::move(defaults));
  }

  void write_assignment() {
    page_.gap().say(init_.machine);
    if (const auto same = common_to(init_.devices, [](const std::string& device) { return device; })) {
      page_.put("assignment", Tree::text(*same));
      return;
    }
    Tree map = Tree::map();
    for (std::size_t i = 0; i < found_.models.size(); ++i) map.set(found_.models[i].name, Tree::text(init_.devices[i]));
    page_.put("assignment", std::move(map));
  }

  void write_combine() {
    std::vector<std::string_view> rules;
    for (const auto& entry : enum_names(CombineRule{})) rules.push_back(entry.name);
    page_.gap().say(fmt::format("How predictions become one: {}.", fmt::join(rules, ", ")));
    Tree combine = combine_by(differ_ ? "none" : init_.rule.empty() ? "mean" : init_.rule);
    if (differ_) page_.say("The models output different shapes, so their predictions stay apart: rule none.");
    if (are_towers()) page_.say("The towers of CLIP output features. With heads, 'tasks' say what they mean.");
    combine.set("over", Tree::plain(are_towers() ? "features" : are_numbers() ? "values" : "probabilities"));
    page_.put("combine", std::move(combine));
  }

  void write_input() {
    const FoundImages& images = found_.images;
    page_.gap().say(fmt::format("The images: {}.", images.summary));
    for (const std::string& remark : images.remarks) page_.say(remark + ".");
    Tree input = images.input;
    if (const Tree* labels = input.find("labels"); labels != nullptr && have_places()) {
      page_.say(
          fmt::format("The labels in {} are one class per image, and the models output more than that for each: they "
                      "are left out.",
                      labels->scalar));
      input.remove("labels");
    }
    const bool resizes = images.pictures && input_ && input_->empty();
    if (resizes) {
      const std::uint32_t side = side_.value_or(0) != 0 ? *side_ : config::kFolderSide;
      page_.say("The shorter side of each picture becomes 'resize', and the middle square is kept.");
      input.set("resize", Tree::plain(std::to_string(side)));
    }
    const bool labelled = input.find("labels") != nullptr;
    page_.put("input", std::move(input));
    if (!images.pictures && !labelled) {
      page_.say("No labels were found next to the images. With labels, a run measures how good it is:");
      page_.offer("  labels: labels.npy");
    } else if (images.pictures && images.classes.empty()) {
      page_.say("The pictures have no labels. With a folder for each class, a run measures how good it is.");
    }
  }

  void write_classes() {
    if (are_towers() || are_numbers()) return;
    const std::vector<std::string>& folders = found_.images.classes;
    page_.gap();
    if (!found_.class_file.empty()) {
      const std::size_t names = class_names_in(found_.class_file).size();
      const bool fits = output_.empty() || names == output_.front();
      page_.say(fits ? "The names of the classes, in the order of the outputs."
                     : fmt::format("A file names {}, but the models output {}, so it is left out:",
                                   counted(names, "class"), output_.front()));
      if (fits)
        page_.put("classes", Tree::text(found_.class_file.string()));
      else
        page_.offer("classes: " + config::one_line(found_.class_file.string()));
      return;
    }
    if (folders.empty()) {
      page_.say("The names of the classes were not found. Write them in the order of the outputs:");
      page_.offer("classes: [cat, dog]");
      return;
    }
    page_.say(
        fmt::format("The folders of the pictures are taken for the classes, in this order: {}. If the models output "
                    "their classes in another order, or have others, name those of the models:",
                    names_text(folders)));
    if (const std::string wrong = too_many_classes(found_, init_.trials); !wrong.empty())
      page_.say(wrong);
    else if (!output_.empty() && output_.front() != folders.size())
      page_.say(fmt::format("They do: there are {}, and the models output {}.", counted(folders.size(), "folder"),
                            output_.front()));
    page_.offer("classes: [cat, dog]");
  }

  const InitText& init_;
  const Found& found_;
  Dims output_;             ///< of every model; empty: not known, or they differ
  bool tried_all_ = false;  ///< and all could be started
  bool differ_ = false;
  std::optional<std::uint32_t> side_;  ///< nothing: they differ
  std::optional<std::string> input_;   ///< as YAML; empty: none has one; nothing: they differ
  Page page_;
};

}  // namespace

std::string too_many_classes(const Found& found, const std::vector<Trial>& trials) {
  const std::size_t folders = found.images.classes.size();
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const Dims& output = trials[i].output;
    if (output.size() != 1 || output.front() < 2 || output.front() >= folders || found.models[i].is_tower()) continue;
    return fmt::format(
        "The pictures have {} (a folder each), but {} outputs {}, so the run will fail: name a folder "
        "without the others.",
        counted(folders, "class"), found.models[i].name, output.front());
  }
  return {};
}

std::string init_text(const InitText& init) { return Writer(init).write(); }

}  // namespace tutti::program
