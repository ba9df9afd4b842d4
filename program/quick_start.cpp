#include "program/quick_start.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "config/shorthand.hpp"
#include "config/tree.hpp"
#include "config/yaml.hpp"

namespace tutti::program {
namespace {

namespace fs = std::filesystem;
using config::Tree;

bool is_model(const fs::path& file) {
  static constexpr std::array<std::string_view, 5> kEndings{".pt", ".pt2", ".ts", ".torchscript", ".onnx"};
  return std::ranges::find(kEndings, file.extension().string()) != kEndings.end();
}

Tree members_of(const std::vector<fs::path>& files, const std::string& preprocess) {
  Tree list = Tree::list();
  for (const config::FileMember& member : config::members_for(files)) {
    Tree model = Tree::map();
    model.set("kind", Tree::plain(std::string(member.kind)));
    model.set(member.key, Tree::text(member.file.string()));
    Tree map = Tree::map();
    map.set("name", Tree::text(member.name));
    map.set("model", std::move(model));
    if (!preprocess.empty()) map.set("input", Tree::text(preprocess));
    list.items.push_back(std::move(map));
  }
  return list;
}

Tree input_of(const fs::path& images) {
  const bool array = images.extension() == ".npy";
  Tree input = Tree::map();
  input.set("dataset", Tree::plain(array ? "npy" : "folder"));
  input.set(array ? "images" : "path", Tree::text(images.string()));
  return input;
}

}  // namespace

bool names_models(const CommandLine& line) { return is_model(line.file); }

std::string description_of_models(CommandLine& line) {
  std::vector<fs::path> files{line.file};
  const auto is_override = [](const std::string& word) { return word.find('=') != word.npos; };
  for (const std::string& word : line.overrides)
    if (!is_override(word)) files.emplace_back(word);
  std::erase_if(line.overrides, [&](const std::string& word) { return !is_override(word); });
  for (const fs::path& file : files)
    if (!is_model(file))
      throw Error(ErrorKind::usage, fmt::format("'{}' is not the file of a model", file.string()),
                  "models are called *.pt, *.pt2 or *.onnx",
                  "for other models, write a description (docs/configuration.md), or let 'glob' find them in one");
  if (line.images.empty())
    throw Error(ErrorKind::usage, "the models need images", {},
                "name a folder of pictures or an .npy file: --images photos");
  Tree root = Tree::map();
  root.set("members", members_of(files, line.preprocess));
  root.set("input", input_of(line.images));
  if (!line.rule.empty()) {
    Tree combine = Tree::map();
    combine.set("rule", Tree::text(line.rule));
    root.set("combine", std::move(combine));
  }
  return config::emit_yaml(root);
}

void save_description(const std::string& yaml, const fs::path& file) {
  std::error_code ignored;
  if (fs::exists(file, ignored))
    throw Error(ErrorKind::usage, fmt::format("{} exists already", file.string()), {},
                "remove it first, or name another file with --save");
  AtomicFile out(file);
  out.write(yaml);
  out.commit();
}

void refuse_options_of_models(const CommandLine& line) {
  const std::array<std::pair<const char*, bool>, 4> options{{{"--images", !line.images.empty()},
                                                             {"--preprocess", !line.preprocess.empty()},
                                                             {"--rule", !line.rule.empty()},
                                                             {"--save", !line.save.empty()}}};
  for (const auto& [name, given] : options)
    if (given)
      throw Error(ErrorKind::usage, fmt::format("{} is for models that the command line names", name),
                  fmt::format("'{}' is a description, which says it itself", line.file.string()),
                  "change a key of it: input.path=photos, combine.rule=vote");
}

}  // namespace tutti::program
