#include "images/folder_listing.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <span>
#include <system_error>
#include <utility>

#include <tutti/error.hpp>

#include "common/checksum.hpp"
#include "common/counted.hpp"
#include "common/unicode.hpp"
#include "images/formats.hpp"
#include "images/sources.hpp"

namespace tutti::images {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostShown = 5;

[[noreturn]] void refuse_listing(const fs::path& folder, const std::string& why) {
  throw Error(ErrorKind::usage, fmt::format("{} cannot be read as a folder of images", folder.string()), why,
              kFolderHint);
}

/// The entries of a folder, without hidden names.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    if (!entry->path().filename().string().starts_with('.')) entries.push_back(*entry);
  if (code) refuse_listing(folder, code.message());
  return entries;
}

/// Walks a folder and counts, by the ends of their names, the files that it passes over.
class Walk {
 public:
  explicit Walk(const fs::path& top) : top_(top) {}

  /// Whether a file is an image by its name; if not, it is counted.
  bool takes(const fs::directory_entry& entry) {
    if (is_called_image(entry.path())) return true;
    const std::string ending = entry.path().extension().string();
    ++passed_over_[ending.empty() ? "without an ending" : ending];
    return false;
  }

  /// The images in a folder and in all below it, by their paths below the top, in order.
  std::vector<std::string> images_below(const fs::path& folder) {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : entries_of(folder)) {
      std::error_code dangling;
      const bool is_folder = entry.is_directory(dangling);
      if (is_folder && entry.is_symlink(dangling)) {
        ++passed_over_["links to folders"];  // they may form a loop
      } else if (is_folder) {
        const std::vector<std::string> below = images_below(entry.path());
        names.insert(names.end(), below.begin(), below.end());
      } else if (takes(entry)) {
        names.push_back(entry.path().lexically_relative(top_).string());
      }
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  /// "left out 12 files not called like images (.jpg, ...): 10 .heic, 2 .txt"; empty if there are none.
  std::string passed_over(bool with_endings) const {
    std::size_t all = 0;
    std::vector<std::string> kinds;
    for (const auto& [kind, count] : passed_over_) {
      all += count;
      kinds.push_back(fmt::format("{} {}", count, kind));
    }
    if (all == 0) return {};
    return fmt::format("left out {} not called like images{}: {}", counted(all, "file"),
                       with_endings ? fmt::format(" ({})", image_endings()) : "", fmt::join(kinds, ", "));
  }

 private:
  const fs::path& top_;
  std::map<std::string, std::size_t> passed_over_;
};

struct ListedClass {
  std::string name;  ///< of the folder
  std::vector<std::string> images;
};

std::string some_of(const std::vector<std::string>& names) {
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + std::ptrdiff_t(std::min(names.size(), kMostShown)));
  return fmt::format("'{}'{}", fmt::join(first, "', '"),
                     names.size() > kMostShown ? fmt::format(" and {} more", names.size() - kMostShown) : "");
}

std::string empty_ones(const std::vector<ListedClass>& classes, bool labelled) {
  std::vector<std::string> names;
  for (const ListedClass& one : classes)
    if (one.images.empty()) names.push_back(one.name);
  if (names.empty()) return {};
  return fmt::format("{} of {} {} no images: {}", names.size(), counted(classes.size(), labelled ? "class" : "folder"),
                     names.size() == 1 ? "has" : "have", some_of(names));
}

void add_classes(const fs::path& folder, std::vector<ListedClass>& classes, Listing& listing) {
  std::map<std::string, std::string> folders;  // by the name of the class
  for (ListedClass& one : classes) {
    const std::string name = composed(one.name);
    if (const auto [twin, added] = folders.emplace(name, one.name); !added)
      refuse_listing(folder, fmt::format("two of its folders are called '{}', written with different code points of "
                                         "Unicode (composed and decomposed); rename or merge them",
                                         name));
    for (std::string& image : one.images)
      listing.files.push_back({std::move(image), static_cast<std::uint32_t>(listing.classes.size())});
    listing.classes.push_back(name);
  }
}

}  // namespace

Listing list_images(const fs::path& folder, Subfolders subfolders) {
  const bool of_classes = subfolders == Subfolders::are_classes;
  Walk walk(folder);
  std::vector<std::string> loose;
  std::vector<ListedClass> classes;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    std::error_code dangling;
    if (entry.is_directory(dangling))
      classes.push_back({entry.path().filename().string(), walk.images_below(entry.path())});
    else if (walk.takes(entry))
      loose.push_back(entry.path().filename().string());
  }
  std::ranges::sort(classes, {}, &ListedClass::name);
  std::sort(loose.begin(), loose.end());
  const bool labelled =
      std::any_of(classes.begin(), classes.end(), [](const ListedClass& one) { return !one.images.empty(); });
  if (labelled && of_classes && !loose.empty())
    refuse_listing(folder, fmt::format("it holds {} itself, such as {}, next to folders with images: their class is "
                                       "not clear",
                                       counted(loose.size(), "image"), loose.front()));
  Listing listing;
  const bool none = loose.empty() && !labelled;  // its message has the endings already
  for (const std::string& remark : {walk.passed_over(!none), empty_ones(classes, labelled && of_classes)})
    if (!remark.empty()) listing.remarks.push_back(remark);
  for (const std::string& name : loose) listing.files.push_back({name});
  if (labelled && of_classes) add_classes(folder, classes, listing);
  if (!of_classes)
    for (ListedClass& part : classes)
      for (std::string& image : part.images) listing.files.push_back({std::move(image)});
  if (listing.files.empty())
    refuse_listing(folder, fmt::format("it holds no images: files that end in {}{}{}", image_endings(),
                                       listing.remarks.empty() ? "" : "; ", fmt::join(listing.remarks, "; ")));
  return listing;
}

std::string folder_fingerprint(const std::filesystem::path& folder, const LabelFile& masks) {
  const Listing listing = list_images(folder, masks.file.empty() ? Subfolders::are_classes : Subfolders::are_parts);
  std::uint32_t crc = 0;
  for (const ListedFile& file : listing.files) {
    struct stat status {};
    ::stat((folder / file.name).c_str(), &status);  // zeros if the file is gone; reading it reports that
    const std::string line = fmt::format("{}\n{} {} {}.{:09}\n", file.name, file.label, status.st_size,
                                         status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    crc = crc32(std::as_bytes(std::span(line)), crc);
  }
  return fmt::format("{} in {}, crc of names, sizes and times {:08x}", counted(listing.files.size(), "image"),
                     counted(listing.classes.size(), "class"), crc);
}

}  // namespace tutti::images
