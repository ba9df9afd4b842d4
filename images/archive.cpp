// The owner of minizip. Without it, archives are rejected by name.
#include "images/archive.hpp"

#ifdef TUTTI_HAS_MINIZIP
#include <minizip/unzip.h>
#endif

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/nearest.hpp"
#include "images/scratch_file.hpp"

namespace tutti::images {

#ifdef TUTTI_HAS_MINIZIP

bool reads_archives() noexcept { return true; }

namespace {

constexpr std::size_t kMostEntries = 1 << 16;
constexpr std::string_view kArrayEnding = ".npy";
constexpr const char* kSaveArchive = "save it with numpy.savez(path, image=x, table=t)";
constexpr std::uint64_t kStored = 0;
constexpr std::uint64_t kDeflated = 8;
constexpr unsigned kEncrypted = 1;  // a bit of an entry's flags

[[noreturn]] void refuse_archive(const std::filesystem::path& file, std::string detail, std::string hint) {
  throw Error(ErrorKind::usage, fmt::format("{} cannot be used as an archive of arrays", file.string()),
              std::move(detail), std::move(hint));
}

}  // namespace

class Archive::Reader {
 public:
  explicit Reader(std::filesystem::path file) : file_(std::move(file)), bytes_(InputFile(file_).size()) {
    zip_.reset(::unzOpen64(file_.c_str()));
    if (!zip_) refuse_archive(file_, "it has no directory of a zip file at its end", kSaveArchive);
    int code = ::unzGoToFirstFile(zip_.get());
    for (; code == UNZ_OK; code = ::unzGoToNextFile(zip_.get())) add_entry();
    if (code != UNZ_END_OF_LIST_OF_FILE) refuse_damaged("its directory");
    if (entries_.empty()) refuse_archive(file_, "it holds no .npy arrays", kSaveArchive);
  }

  std::vector<std::string> arrays() const {
    std::vector<std::string> names;
    for (const Entry& entry : entries_) names.push_back(entry.name);
    return names;
  }

  OpenArray open(const std::string& array) {
    const Entry& entry = find(array);
    const std::filesystem::path name = fmt::format("{}:{}", file_.string(), entry.name);
    if (entry.encrypted) refuse_archive(file_, fmt::format("'{}' is encrypted", entry.name), kSaveArchive);
    if (::unzGoToFilePos64(zip_.get(), &entry.place) != UNZ_OK) refuse_damaged(entry.name);
    if (entry.method == kStored) return with_header(in_place(entry, name), {});
    if (entry.method != kDeflated)
      refuse_archive(file_,
                     fmt::format("'{}' is compressed by method {}; Tutti reads stored and deflated arrays", entry.name,
                                 entry.method),
                     kSaveArchive);
    return inflated(entry, name);
  }

 private:
  struct Entry {
    std::string name;  ///< without ".npy"
    std::uint64_t method = 0;
    bool encrypted = false;
    std::uint64_t bytes = 0;  ///< uncompressed
    unz64_file_pos place{};
  };
  struct Close {
    void operator()(void* zip) const { ::unzClose(zip); }
  };

  void add_entry() {
    unz_file_info64 info{};
    std::array<char, 1024> name{};
    Entry entry;
    if (entries_.size() == kMostEntries ||
        ::unzGetCurrentFileInfo64(zip_.get(), &info, name.data(), name.size() - 1, nullptr, 0, nullptr, 0) != UNZ_OK ||
        ::unzGetFilePos64(zip_.get(), &entry.place) != UNZ_OK)
      refuse_damaged("its directory");
    entry.name = name.data();
    if (!entry.name.ends_with(kArrayEnding) || info.size_filename >= name.size()) return;
    entry.name.resize(entry.name.size() - kArrayEnding.size());
    entry.method = info.compression_method;
    entry.encrypted = (info.flag & kEncrypted) != 0;
    entry.bytes = info.uncompressed_size;
    entries_.push_back(std::move(entry));
  }

  const Entry& find(const std::string& array) const {
    const auto found = std::ranges::find(entries_, array, &Entry::name);
    if (found != entries_.end()) return *found;
    const std::vector<std::string> names = arrays();
    const std::string near = nearest(array, names);
    refuse_archive(file_, fmt::format("it has no array '{}', but {}", array, fmt::join(names, ", ")),
                   near.empty() ? "name one of these" : fmt::format("did you mean '{}'?", near));
  }

  [[noreturn]] void refuse_damaged(const std::string& what) const {
    refuse_archive(file_, fmt::format("{} is damaged", what), "copy or save it again");
  }

  static OpenArray with_header(InputFile file, std::string remark) {
    NpyHeader header = read_npy_header(file);
    return {std::move(file), std::move(header), std::move(remark)};
  }

  InputFile in_place(const Entry& entry, const std::filesystem::path& name) const {
    int method = 0;
    int level = 0;
    if (::unzOpenCurrentFile2(zip_.get(), &method, &level, /*raw=*/1) != UNZ_OK) refuse_damaged(entry.name);
    const std::uint64_t begin = ::unzGetCurrentFileZStreamPos64(zip_.get());
    ::unzCloseCurrentFile(zip_.get());
    if (begin > bytes_ || entry.bytes > bytes_ - begin) refuse_damaged(entry.name);
    return InputFile(file_).part(name, begin, entry.bytes);
  }

  OpenArray inflated(const Entry& entry, const std::filesystem::path& name) const {
    if (::unzOpenCurrentFile(zip_.get()) != UNZ_OK) refuse_damaged(entry.name);
    ScratchFile scratch(file_);
    std::vector<std::byte> part(256 * 1024);
    int count = 0;
    while ((count = ::unzReadCurrentFile(zip_.get(), part.data(), static_cast<unsigned>(part.size()))) > 0)
      scratch.write(std::span(part).first(static_cast<std::size_t>(count)));
    const bool sound = ::unzCloseCurrentFile(zip_.get()) == UNZ_OK;  // it compares the checksum
    if (count < 0 || !sound || scratch.bytes() != entry.bytes) refuse_damaged(entry.name);
    std::string remark = fmt::format("{} is compressed; it was inflated to {} in a temporary file in {}", name.string(),
                                     counted(entry.bytes, "byte"), scratch.folder().string());
    return with_header(std::move(scratch).finish(name), std::move(remark));
  }

  std::filesystem::path file_;
  std::uint64_t bytes_;
  std::unique_ptr<void, Close> zip_;
  std::vector<Entry> entries_;
};

Archive::Archive(std::filesystem::path file) : reader_(std::make_unique<Reader>(std::move(file))) {}
std::vector<std::string> Archive::arrays() const { return reader_->arrays(); }
OpenArray Archive::open(const std::string& array) { return reader_->open(array); }

#else

bool reads_archives() noexcept { return false; }

class Archive::Reader {};

namespace {

[[noreturn]] void refuse_all(const std::filesystem::path& file) {
  throw Error(ErrorKind::usage, fmt::format("cannot read {}", file.string()),
              "this build of Tutti has no minizip, which reads .npz archives",
              "install it (Debian: libminizip-dev) and build again, or save each array with numpy.save(path, array)");
}

}  // namespace

Archive::Archive(std::filesystem::path file) {
  const InputFile there(file);  // a missing file is reported as such
  refuse_all(file);
}
std::vector<std::string> Archive::arrays() const { return {}; }
OpenArray Archive::open(const std::string& array) { refuse_all(array); }

#endif

Archive::~Archive() = default;

}  // namespace tutti::images
