// Models of every kind, and each of their fields set to other values: made from the descriptions, so that a new kind or
// field is covered by the tests that use this. For tests only.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/wire/model_kinds.hpp"

namespace tutti::test {

/// Sets a field to another value that its form allows. Called as for_each_field() calls. What a path names is made in
/// `folder`, each with a content of its own.
class Change {
 public:
  explicit Change(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void operator()(std::string_view, std::uint32_t& value, const form::Whole& whole) {
    value = value < whole.most ? value + 1 : static_cast<std::uint32_t>(whole.least);
  }
  void operator()(std::string_view, std::uint64_t& value, const form::Delay& delay) {
    value = value < delay.most ? value + 1 : 0;
  }
  void operator()(std::string_view, bool& value, const form::Flag&) { value = !value; }
  /// Backwards, so that the first change is to the last name: those that need other fields stand there.
  template <class Enum>
  void operator()(std::string_view, Enum& value, const form::Choice&) {
    const auto names = enum_names(Enum{});
    for (std::size_t i = 0; i < names.size(); ++i)
      if (names[i].value == value) {
        value = names[(i + names.size() - 1) % names.size()].value;
        return;
      }
  }
  void operator()(std::string_view, std::vector<std::string>& values, const form::Texts&) {
    values.push_back("x" + std::to_string(values.size()));
  }
  void operator()(std::string_view, std::string& value, const form::Path& path) { value = made(path.folder); }
  void operator()(std::string_view, std::string& value, const form::Factory&) { value = made(false, ".py") + ":make"; }
  void operator()(std::string_view, Arguments& value, const form::Call&) {
    value.json = R"({"x":[1,2.5E0,"3",null],"n":)" + std::to_string(++made_) + "}";
  }
  void operator()(std::string_view, std::string& value, const form::Interpreter&) { value = "/usr/bin/python3"; }
  void operator()(std::string_view, std::string& value, const form::ModuleFolder&) { value = folder_.string(); }
  void operator()(std::string_view, std::string& value, const form::CacheFolder&) { value = folder_.string(); }
  void operator()(std::string_view, std::vector<std::string>& values, const form::Paths&) {
    values.push_back(made(/*folder=*/false));
  }
  void operator()(std::string_view, std::vector<std::uint32_t>& values, const form::Widths&) {
    for (int layer = 0; layer < 2; ++layer) values.push_back(static_cast<std::uint32_t>(7 + values.size()));
  }
  void operator()(std::string_view, Dims& sizes, const form::Sizes&) { sizes.push_back(3); }
  /// Of two layers or more, which Widths has made.
  void operator()(std::string_view, LayerRange& part, const form::Layers&) { part = {part.from + 1}; }
  void operator()(std::string_view, std::vector<ScriptedFault>& values, const form::Faults&) {
    values.push_back({FaultKind::nan, FaultPhase::predict, values.size()});
    values.push_back({FaultKind::nan, FaultPhase::train, 0, 0.1F});
  }

 private:
  std::string made(bool folder, const std::string& ending = {}) {
    std::filesystem::path path = folder_ / (std::to_string(++made_) + ending);
    const std::string content = path.filename().string();
    std::string name = path.string();
    if (folder) {
      std::filesystem::create_directory(path);
      path /= "config.json";
    }
    std::ofstream(path) << content;
    return name;
  }

  std::filesystem::path folder_;
  int made_ = 0;
};

/// One of each kind with other values than the defaults in all of its fields.
inline std::vector<ModelKind> every_model(Change& change) {
  std::vector<ModelKind> models = every_kind();
  for (ModelKind& model : models) {
    for_each_field(model, change);
    // Only LibTorch computes a part of a network.
    if (const LayerRange* const part = part_of(model); part != nullptr && !part->whole())
      *backend_of(model) = ComputedBy::torch;
    REQUIRE_FALSE(clash_in(model));
  }
  return models;
}

/// A field that was changed alone.
struct Changed {
  std::string key;
  ModelKind model;
  bool counts = true;  ///< it may change a prediction by what it says, and not only by what is found there
};

/// `model` as often as it has fields, each time with another one of them changed. They may clash with the others.
inline std::vector<Changed> changed_one_by_one(const ModelKind& model, Change& change) {
  std::vector<Changed> all;
  for_each_field(model, [&](std::string_view key, const auto&, const auto& its_form) {
    using Form = std::remove_cvref_t<decltype(its_form)>;
    constexpr bool kCounts = !std::is_same_v<Form, form::Delay> && !std::is_same_v<Form, form::Interpreter> &&
                             !std::is_same_v<Form, form::ModuleFolder> && !std::is_same_v<Form, form::CacheFolder>;
    Changed one{std::string(key), model, kCounts};
    for_each_field(one.model, [&](std::string_view other, auto& value, const auto& other_form) {
      if (other == key) change(other, value, other_form);
    });
    all.push_back(std::move(one));
  });
  return all;
}

}  // namespace tutti::test
