#include "config/shorthand.hpp"

#include <glob.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "config/members.hpp"
#include "config/reader.hpp"

namespace tutti::config {
namespace {

namespace fs = std::filesystem;

// ---- presets -------------------------------------------------------------------------------------------------------

/// How networks that were trained on a usual data set want their images.
struct Preset {
  std::string_view name;
  std::string_view mean;
  std::string_view std;
  std::string_view resize;  ///< of a member's `input`, apart from mean and std
};

// Sources: torchvision's classification references; OpenAI's CLIP and Hugging Face's CLIPImageProcessor; the usual
// statistics of the training images of CIFAR-10.
constexpr std::array kPresets{Preset{"imagenet", "0.485 0.456 0.406", "0.229 0.224 0.225",
                                     "resize 256 rule shorter crop 224 interpolation bilinear"},
                              Preset{"clip", "0.48145466 0.4578275 0.40821073", "0.26862954 0.26130258 0.27577711",
                                     "resize 224 rule shorter crop 224 interpolation bicubic crop_rounding floor"},
                              Preset{"cifar10", "0.4914 0.4822 0.4465", "0.2470 0.2435 0.2616", ""}};

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

Tree numbers(std::string_view text, const SourcePosition& position) {
  Tree list = Tree::list();
  list.position = position;
  for (const std::string& word : words_of(text)) {
    list.items.push_back(Tree::plain(word));
    list.items.back().position = position;
  }
  return list;
}

/// Replaces a word that is the name of a preset by the map that it stands for. Other values are left to their reader.
void write_out_preset(Tree* tree, bool resizes, std::string_view key, Violations& violations) {
  if (tree == nullptr || tree->kind != Tree::Kind::scalar) return;
  const auto preset = std::ranges::find(kPresets, tree->scalar, &Preset::name);
  const SourcePosition position = tree->position;
  if (preset == kPresets.end()) {
    const std::vector<std::string> names = preset_names();
    violations.add(position, fmt::format("'{}' must be a map, or one of the words {}; not {}{}", key, one_of(names),
                                         describe(*tree), did_you_mean(tree->scalar, names)));
    *tree = Tree::null();
    return;
  }
  Tree map = Tree::map();
  map.position = position;
  const std::vector<std::string> words = words_of(resizes ? preset->resize : "");
  for (std::size_t w = 0; w + 1 < words.size(); w += 2) {
    Tree value = Tree::plain(words[w + 1]);
    value.position = position;
    map.set(words[w], std::move(value), position);
  }
  map.set("mean", numbers(preset->mean, position), position);
  map.set("std", numbers(preset->std, position), position);
  *tree = std::move(map);
}

void write_out_preprocess(Tree* input, Violations& violations) {
  if (input != nullptr) write_out_preset(input->find("preprocess"), false, "preprocess", violations);
}

// ---- members -------------------------------------------------------------------------------------------------------

/// The files that a pattern of the shell matches, sorted by name.
std::vector<fs::path> files_matching(const std::string& pattern) {
  std::vector<fs::path> files;
  glob_t found{};
  if (::glob(pattern.c_str(), GLOB_TILDE | GLOB_BRACE, nullptr, &found) == 0)
    for (std::size_t i = 0; i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  return files;
}

/// A name for a member that comes from a file: what cannot be in a name becomes a dash.
std::string as_name(std::string text) {
  std::ranges::replace_if(
      text, [](char letter) { return !fits_in_name(letter); }, '-');
  const bool number = text.find_first_not_of("0123456789") == std::string::npos;
  if (number || text.front() == '.' || text.front() == '-') text.insert(0, "m");
  if (text.size() > kMaxNameLength) text.resize(kMaxNameLength);
  return text;
}

bool distinct(std::vector<std::string> names) {
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) == names.end();
}

/// Their names without folder and ending; if these are alike, with as many folders before them as it takes.
std::vector<std::string> names_of(const std::vector<fs::path>& files) {
  std::vector<std::string> texts;
  std::vector<fs::path> folders;
  for (const fs::path& file : files) {
    texts.push_back(file.stem().string());
    folders.push_back(file.parent_path());
  }
  std::vector<std::string> names;
  for (bool more = true; more;) {
    names.clear();
    for (const std::string& text : texts) names.push_back(as_name(text));
    if (distinct(names)) break;
    more = false;
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (folders[i].filename().empty()) continue;
      texts[i] = folders[i].filename().string() + "-" + texts[i];
      folders[i] = folders[i].parent_path();
      more = true;
    }
  }
  return names;
}

/// The key of a model of this kind that names its file; empty if there is none.
std::string_view file_key(std::string_view kind) {
  if (kind == "small-cnn" || kind == "mlp") return "weights";
  if (kind == "saved") return "predictions";
  return kind == "fake" ? "" : "path";
}

/// A member for each file that `entry` names with its `glob`; its other keys are for all of them.
std::vector<Tree> members_of(const Tree& entry, Violations& violations) {
  const Tree& pattern = *entry.find("glob");
  std::vector<Tree> members;
  const auto refuse = [&](const std::string& what) {
    violations.add(pattern.position, what);
    return members;
  };
  if (pattern.kind != Tree::Kind::scalar)
    return refuse(fmt::format("'glob' must be a pattern such as models/*.pt, not {}", describe(pattern)));
  if (entry.find("name") != nullptr)
    return refuse("members of a 'glob' are called as their files are; leave 'name' out");
  const std::vector<fs::path> files = files_matching(pattern.scalar);
  if (files.empty()) {
    if (violations.has(pattern.position)) return members;  // a variable that is not set
    return refuse(fmt::format("no file matches '{}'", one_line(pattern.scalar)));
  }
  for (const FileMember& found : members_for(files)) {
    Tree member = entry;
    member.remove("glob");
    const auto put = [&](Tree& map, std::string_view key, Tree value) {
      value.position = pattern.position;
      map.set(key, std::move(value), pattern.position);
    };
    put(member, "name", Tree::text(found.name));
    if (member.find("model") == nullptr) put(member, "model", Tree::map());
    Tree& model = *member.find("model");
    if (model.kind != Tree::Kind::map) return refuse("'model' of a 'glob' must be a map, such as {kind: small-cnn}");
    if (model.find("kind") == nullptr) {
      if (found.kind.empty())
        return refuse(
            fmt::format("the ending of '{}' does not tell what kind of model it is; say it: model: {{kind: "
                        "small-cnn}}",
                        found.file.string()));
      put(model, "kind", Tree::plain(std::string(found.kind)));
    }
    const std::string_view key = file_key(model.find("kind")->scalar);
    if (key.empty()) return refuse("members of kind fake have no files; leave 'glob' out");
    put(model, key, Tree::text(found.file.string()));
    members.push_back(std::move(member));
  }
  return members;
}

/// `members: {glob: ...}` is a list with one entry.
void write_out_only_glob(Tree& members, Violations& violations) {
  if (members.kind == Tree::Kind::map && members.find("glob") == nullptr)
    return violations.add(members.position, "'members' must be a list, or a map with 'glob'");
  if (members.kind != Tree::Kind::map) return;
  Tree list = Tree::list();
  list.position = members.position;
  list.items.push_back(std::move(members));
  members = std::move(list);
}

/// Whether each glob has members.
bool write_out_globs(Tree& members, Violations& violations) {
  bool complete = true;
  std::vector<Tree> all;
  for (Tree& item : members.items) {
    if (item.find("glob") == nullptr) {
      all.push_back(std::move(item));
      continue;
    }
    std::vector<Tree> found = members_of(item, violations);
    complete = complete && !found.empty();
    std::ranges::move(found, std::back_inserter(all));
  }
  members.items = std::move(all);
  return complete;
}

void write_out_defaults(Tree& root, Violations& violations) {
  Tree* found = root.find("defaults");
  if (found == nullptr) return;
  const Tree defaults = std::move(*found);
  root.remove("defaults");
  if (defaults.kind == Tree::Kind::null) {
    if (defaults.blank)
      violations.add(defaults.position, "'defaults' has no value; write one, or null for the default");
    return;
  }
  if (defaults.kind != Tree::Kind::map) {
    violations.add(defaults.position,
                   fmt::format("'defaults' must be a map of keys of a member, not {}", describe(defaults)));
    return;
  }
  if (const Tree* glob = defaults.find("glob"); glob != nullptr) {
    violations.add(glob->position, "'glob' makes members, so it belongs to 'members' and not to 'defaults'");
    return;
  }
  if (const Tree* name = defaults.find("name"); name != nullptr) {
    violations.add(name->position, "names must differ, so 'defaults' has no 'name'");
    return;
  }
  Tree* members = root.find("members");
  if (members == nullptr) return;
  for (Tree& member : members->items) {
    if (member.kind != Tree::Kind::map) continue;
    Tree whole = defaults;
    whole.position = member.position;
    merge(whole, std::move(member));
    member = std::move(whole);
  }
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& one : kPresets) names.emplace_back(one.name);
  return names;
}

std::string_view kind_of_file(const fs::path& file) {
  const std::string ending = file.extension().string();
  if (ending == ".pt" || ending == ".ts" || ending == ".torchscript") return "torchscript";
  if (ending == ".pt2") return "aoti";
  if (ending == ".onnx") return "onnx";
  for (const std::string_view of_openvino : {".xml", ".tflite", ".pb", ".pdmodel"})
    if (ending == of_openvino) return "openvino";
  if (ending == ".npy") return "saved";
  std::error_code ignored;
  if (fs::exists(file / "saved_model.pb", ignored)) return "openvino";
  return fs::exists(file / "config.json", ignored) ? "clip-vit" : "";
}

std::vector<FileMember> members_for(const std::vector<fs::path>& files) {
  const std::vector<std::string> names = names_of(files);
  std::vector<FileMember> members;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string_view kind = kind_of_file(files[i]);
    members.push_back({names[i], kind, kind.empty() ? std::string_view() : file_key(kind), files[i]});
  }
  return members;
}

bool write_out(Tree& root, Violations& violations) {
  const std::size_t before = violations.count();
  bool complete = true;
  // Presets before defaults: a member may change a part of the preset that its defaults name.
  if (Tree* defaults = root.find("defaults"); defaults != nullptr)
    write_out_preset(defaults->find("input"), true, "input", violations);
  if (Tree* members = root.find("members"); members != nullptr) {
    write_out_only_glob(*members, violations);
    for (Tree& member : members->items) write_out_preset(member.find("input"), true, "input", violations);
  }
  write_out_defaults(root, violations);
  if (Tree* members = root.find("members"); members != nullptr) complete = write_out_globs(*members, violations);
  write_out_preprocess(root.find("input"), violations);
  if (Tree* train = root.find("train"); train != nullptr) write_out_preprocess(train->find("input"), violations);
  if (Tree* tasks = root.find("tasks"); tasks != nullptr)
    for (Tree& task : tasks->items) {
      write_out_preprocess(task.find("input"), violations);
      write_out_preprocess(task.find("held_out"), violations);
    }
  return complete && violations.count() == before;
}

}  // namespace tutti::config
