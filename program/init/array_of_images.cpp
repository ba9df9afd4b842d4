#include "program/init/array_of_images.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tutti/error.hpp>

#include "config/members.hpp"
#include "images/npy.hpp"
#include "program/quick_start.hpp"

namespace tutti::program {
namespace {

namespace fs = std::filesystem;
using config::Tree;
using Sizes = std::vector<std::uint64_t>;

/// Channels come last if they can be channels there and not where they usually are.
bool is_nhwc(const Sizes& shape) {
  const auto channels = [](std::uint64_t size) { return size == 1 || size == 3; };
  return channels(shape[3]) && !channels(shape[1]);
}

/// A name for the only tensor of a sample: that of its file, if it can be one.
std::string tensor_name(const fs::path& file) {
  const std::string name = file.stem().string();
  return !name.empty() && config::name_problem(name).empty() ? name : "x";
}

/// "labels.npy" or "test-labels.npy" of "images.npy" or "test-images.npy".
std::vector<fs::path> places_of_labels(const fs::path& file) {
  const std::string stem = file.stem().string();
  std::vector<std::string> names{stem + "-labels", stem + "_labels", "labels"};
  for (const std::string_view word : {"images", "inputs"})
    if (const std::size_t at = stem.find(word); at != stem.npos)
      names.insert(names.begin(), std::string(stem).replace(at, word.size(), "labels"));
  std::vector<fs::path> places;
  for (const std::string& name : names) places.push_back(file.parent_path() / (name + ".npy"));
  return places;
}

/// One class for each of `count` samples.
bool are_classes(const fs::path& file, std::uint64_t count) {
  static constexpr std::array<std::string_view, 3> kTypes{"<i8", "<i4", "|u1"};
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return false;
  const images::NpyHeader header = images::read_npy_header(images::InputFile(file));
  return header.shape == Sizes{count} && std::ranges::find(kTypes, header.descr) != kTypes.end();
}

}  // namespace

bool is_array_of_labels(const fs::path& file) {
  return file.extension() == ".npy" && file.stem().string().ends_with("labels");
}

FoundImages array_of_images(const fs::path& file) {
  const images::NpyHeader header = images::read_npy_header(images::InputFile(file));
  if (header.shape.empty())
    throw Error(ErrorKind::usage, fmt::format("'{}' holds a single number", file.string()), {},
                "name an array with a row for each sample");
  FoundImages found{.place = file, .input = input_of(file), .summary = {}};
  const Sizes sample(header.shape.begin() + 1, header.shape.end());
  found.summary = fmt::format("{} samples of [{}]", header.shape[0], fmt::join(sample, ", "));
  if (header.shape.size() == 4) {
    if (is_nhwc(header.shape)) found.input.set("layout", Tree::plain("nhwc"));
  } else {
    Tree inputs = Tree::map();
    inputs.set(tensor_name(file), Tree::text(file.string()));
    found.input.remove("images");
    found.input.set("inputs", std::move(inputs));
  }
  for (const fs::path& labels : places_of_labels(file)) {
    if (labels == file || !are_classes(labels, header.shape[0])) continue;
    found.input.set("labels", Tree::text(labels.string()));
    break;
  }
  return found;
}

}  // namespace tutti::program
