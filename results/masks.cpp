#include "results/masks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <system_error>

#include "common/atomic_file.hpp"
#include "common/counted.hpp"
#include "common/dangling_link.hpp"

namespace tutti::images {

std::string file_name_of(const std::string& input, std::uint64_t number, std::uint64_t count) {
  if (!input.empty()) return std::filesystem::path(input).replace_extension().string();
  return fmt::format("{:0{}}", number, fmt::format("{}", count == 0 ? 0 : count - 1).size());
}

void check_own_files(const std::vector<std::string>& inputs) {
  std::map<std::string, std::string> taken;
  for (const std::string& input : inputs) {
    const auto [there, is_new] = taken.emplace(file_name_of(input, 0, 0), input);
    if (!input.empty() && !is_new)
      throw Error(ErrorKind::usage,
                  fmt::format("the results of {} and {} would be the same file", there->second, input),
                  "the files of an image are called as it is, without its ending", "rename one of the images");
  }
}

std::filesystem::path own_file(const std::filesystem::path& folder, const std::string& name,
                               const std::string& ending) {
  std::filesystem::path file = folder / (name + ending);
  std::error_code code;
  std::filesystem::create_directories(file.parent_path(), code);
  if (code)
    throw Error(ErrorKind::failed, fmt::format("could not create the folder {}", file.parent_path().string()),
                code.message(), dangling_link(file.parent_path()));
  return file;
}

void check_masks(const std::optional<Dims>& shape, const std::optional<Dims>& decided) {
  constexpr const char* kHint = "leave 'masks' out";
  if (!shape || !decided || decided->size() != 2)
    throw Error(
        ErrorKind::usage, "'masks: png' needs a class for each pixel of an image",
        !decided ? "the combination decides for no classes" : fmt::format("the predictions are {}", dims_text(*shape)),
        kHint);
  const std::uint64_t classes = elements_of(*shape) / elements_of(*decided);
  if (classes > kPaletteColours)
    throw Error(ErrorKind::usage, fmt::format("'masks: png' takes at most {} classes", kPaletteColours),
                fmt::format("the members output {}", counted(classes, "class")), kHint);
}

void sync_masks(const std::filesystem::path& folder) {
  std::error_code none;
  if (std::filesystem::is_directory(folder, none)) sync_files(folder);
}

void write_classes(PalettePng& mask, std::span<const std::int64_t> classes) {
  std::vector<std::uint8_t> colours(classes.size());
  std::ranges::transform(classes, colours.begin(), [](std::int64_t label) {
    return label < 0 ? kNoClassColour : static_cast<std::uint8_t>(label);
  });
  mask.write(colours);
}

}  // namespace tutti::images
