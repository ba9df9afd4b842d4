// The journal: locking, writing each record with one system call, and reading with every field checked.
#include "results/journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>
#include <system_error>
#include <type_traits>

#include "common/atomic_file.hpp"
#include "common/checksum.hpp"
#include "common/json.hpp"

namespace tutti::images {
namespace {

constexpr std::string_view kMagic = "tutti-journal/3\n";
constexpr std::string_view kAnyMagic = "tutti-journal/";
constexpr std::uint64_t kMaxHeaderBytes = 16 << 20;  // of JSON, which is read into memory

struct RecordHead {
  std::uint64_t length = 0;
  std::uint32_t crc = 0;
  std::uint32_t zero = 0;
};
static_assert(sizeof(RecordHead) == 16 && std::is_trivially_copyable_v<RecordHead>);

struct SegmentHead {
  std::uint64_t first = 0;
  std::uint32_t count = 0;
  std::uint32_t files = 0;
};
static_assert(sizeof(SegmentHead) == 16 && std::is_trivially_copyable_v<SegmentHead>);

template <class Value>
std::span<const std::byte> bytes_of(const Value& value) {
  return std::as_bytes(std::span(&value, 1));
}

[[noreturn]] void cannot_read(const std::filesystem::path& path, int code) {
  throw Error(ErrorKind::failed, fmt::format("could not read {}", path.string()),
              code != 0 ? std::generic_category().message(code) : "it ended early");
}

void read_at(const std::filesystem::path& path, int file, std::uint64_t offset, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) cannot_read(path, count < 0 ? errno : 0);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

template <class Value>
Value read_value(const std::filesystem::path& path, int file, std::uint64_t offset) {
  Value value;
  read_at(path, file, offset, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

/// The checksum of a part of the file, read piece by piece: a wrong length must not become an allocation.
std::uint32_t crc_at(const std::filesystem::path& path, int file, std::uint64_t offset, std::uint64_t length) {
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(length, 1 << 20)));
  std::uint32_t crc = 0;
  while (length > 0) {
    const auto part = std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(length, piece.size())));
    read_at(path, file, offset, part);
    crc = crc32(part, crc);
    offset += part.size();
    length -= part.size();
  }
  return crc;
}

std::string header_text(const JournalHeader& header) {
  json::object fingerprint;
  for (const auto& [key, value] : header.fingerprint) fingerprint[key] = value;
  return json::serialize(json::object{{"images", header.images},
                                      {"segment_images", header.segment_images},
                                      {"members", header.members},
                                      {"fingerprint", std::move(fingerprint)}});
}

/// Throws if the JSON is not what header_text() writes.
JournalHeader parse_header(const std::string& text) {
  const json::value json = parse_json(text, "the journal's header");
  JournalHeader header;
  header.images = json.at("images").to_number<std::uint64_t>();
  header.segment_images = json.at("segment_images").to_number<std::uint32_t>();
  header.members = json.at("members").to_number<std::uint32_t>();
  for (const auto& [key, value] : json.at("fingerprint").as_object())
    header.fingerprint.emplace(key, std::string(value.as_string()));
  if (header.segment_images == 0) throw Error(ErrorKind::failed, "segments of 0 images");
  return header;
}

}  // namespace

std::uint32_t JournalHeader::count_of(std::uint64_t segment) const {
  assert(segment < segments());
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(segment_images, images - segment * segment_images));
}

bool Journal::exists(const std::filesystem::path& folder) {
  std::error_code code;
  return std::filesystem::is_regular_file(folder / "journal", code);
}

Journal::Journal(const std::filesystem::path& folder) : path_(folder / "journal") {
  lock();
  read_records();
}

// A command holds its run folder already (run_folder.hpp), but NFS only locks files: there, and for a journal
// without a program around it, this lock keeps two runs apart. The run that held it may have removed the file between
// our open() and our flock(): then its name is free again.
void Journal::lock() {
  for (;;) {
    file_ = UniqueFd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (!file_) throw write_error(path_, errno);
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK)
        throw Error(ErrorKind::failed, fmt::format("could not lock {}", path_.string()),
                    std::generic_category().message(errno), "choose a run folder on a local disk");
      throw Error(ErrorKind::usage, fmt::format("another run is writing into {}", path_.parent_path().string()),
                  "it holds the lock of the folder's journal",
                  "wait until it ends, or choose another folder: output=...");
    }
    struct stat ours {};
    struct stat named {};
    if (::fstat(file_.get(), &ours) == 0 && ::stat(path_.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
        ours.st_dev == named.st_dev)
      return;
  }
}

void Journal::read_records() {
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0) cannot_read(path_, errno);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::string magic(std::min<std::uint64_t>(size, kMagic.size()), '\0');
  read_at(path_, file_.get(), 0, std::as_writable_bytes(std::span(magic)));
  if (magic.starts_with(kAnyMagic) && !kMagic.starts_with(magic))
    throw Error(ErrorKind::usage, fmt::format("{} is the journal of another version of Tutti", path_.string()),
                "its run can only be continued by the version that began it",
                fmt::format("remove {} to start again", path_.string()));
  if (!kMagic.starts_with(magic))
    throw Error(ErrorKind::usage, fmt::format("{} is not a journal of Tutti", path_.string()),
                "it begins with other bytes", "move it away, or choose another folder: output=...");
  end_ = magic.size();
  for (bool good = true; good && size - end_ >= sizeof(RecordHead);) {
    const auto head = read_value<RecordHead>(path_, file_.get(), end_);
    const Extent extent{end_ + sizeof(RecordHead), head.length};
    good = head.zero == 0 && head.length <= size - extent.offset &&
           crc_at(path_, file_.get(), extent.offset, extent.length) == head.crc &&
           (begun_ ? read_segment(extent) : read_header(extent));
    if (good) end_ = extent.offset + extent.length;
  }
}

bool Journal::read_header(const Extent& extent) {
  if (extent.length > kMaxHeaderBytes) return false;
  std::string text(extent.length, '\0');
  read_at(path_, file_.get(), extent.offset, std::as_writable_bytes(std::span(text)));
  try {
    header_ = parse_header(text);
  } catch (const std::exception&) {
    return false;  // complete, but of an unknown version: there is nothing to continue from
  }
  begun_ = true;
  return true;
}

bool Journal::read_segment(const Extent& extent) {
  if (extent.length < sizeof(SegmentHead)) return false;
  const auto head = read_value<SegmentHead>(path_, file_.get(), extent.offset);
  const std::uint64_t segment = head.first / header_.segment_images;
  if (segment >= header_.segments() || head.first % header_.segment_images != 0) return false;
  if (head.count != header_.count_of(segment)) return false;
  if (head.files > (extent.length - sizeof(SegmentHead)) / sizeof(std::uint32_t)) return false;
  extents_.insert_or_assign(segment, extent);
  return true;
}

std::vector<std::uint64_t> Journal::finished() const {
  std::vector<std::uint64_t> segments;
  for (const auto& [segment, extent] : extents_) segments.push_back(segment);
  return segments;
}

std::uint64_t Journal::finished_images() const {
  std::uint64_t images = 0;
  for (const auto& [segment, extent] : extents_) images += header_.count_of(segment);
  return images;
}

void Journal::begin(JournalHeader header) {
  assert(header.segment_images > 0);
  header_ = std::move(header);
  extents_.clear();
  begun_ = true;
  end_ = 0;
  if (::ftruncate(file_.get(), 0) != 0) throw write_error(path_, errno);
  const std::string text = header_text(header_);
  const RecordHead head{text.size(), crc32(std::as_bytes(std::span(text)))};
  write_record({std::as_bytes(std::span(kMagic)), bytes_of(head), std::as_bytes(std::span(text))});
}

void Journal::append(std::uint64_t segment, std::span<const std::uint32_t> checksums, std::span<const std::byte> sums) {
  assert(begun_ && !holds(segment) && segment < header_.segments());
  const SegmentHead segment_head{segment * header_.segment_images, header_.count_of(segment),
                                 static_cast<std::uint32_t>(checksums.size())};
  RecordHead head;
  std::vector<std::span<const std::byte>> parts{bytes_of(head), bytes_of(segment_head), std::as_bytes(checksums), sums};
  for (std::size_t i = 1; i < parts.size(); ++i) {
    head.length += parts[i].size();
    head.crc = crc32(parts[i], head.crc);
  }
  const Extent extent{end_ + sizeof head, head.length};
  write_record(std::move(parts));
  extents_.emplace(segment, extent);
}

// One call writes the whole record, so that it is there or not; if a full disk takes only a part, it is removed again.
void Journal::write_record(std::vector<std::span<const std::byte>> parts) {
  // There may be a torn record after the last complete one.
  if (::ftruncate(file_.get(), static_cast<off_t>(end_)) != 0) throw write_error(path_, errno);
  std::uint64_t at = end_;
  for (auto part = parts.begin(); part != parts.end();) {
    std::vector<iovec> vectors;
    for (auto next = part; next != parts.end() && vectors.size() < IOV_MAX; ++next)
      vectors.push_back({const_cast<std::byte*>(next->data()), next->size()});
    const ssize_t count =
        ::pwritev(file_.get(), vectors.data(), static_cast<int>(vectors.size()), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int code = errno;
      // If even this fails, the reader finds a torn record.
      [[maybe_unused]] const int taken_back = ::ftruncate(file_.get(), static_cast<off_t>(end_));
      throw write_error(path_, code);
    }
    at += static_cast<std::uint64_t>(count);
    auto written = static_cast<std::size_t>(count);
    for (; part != parts.end() && written >= part->size(); ++part) written -= part->size();
    if (part != parts.end()) *part = part->subspan(written);
  }
  end_ = at;
}

SegmentRecord Journal::record(std::uint64_t segment) const {
  const Extent extent = extents_.at(segment);
  // The file is locked, and read_segment() has checked its sizes against its length.
  const auto head = read_value<SegmentHead>(path_, file_.get(), extent.offset);
  SegmentRecord record;
  const std::uint64_t before = sizeof head + std::uint64_t{head.files} * sizeof(std::uint32_t);
  if (before > extent.length) cannot_read(path_, 0);
  record.checksums.resize(head.files);
  record.sums.resize(extent.length - before);
  read_at(path_, file_.get(), extent.offset + sizeof head, std::as_writable_bytes(std::span(record.checksums)));
  read_at(path_, file_.get(), extent.offset + before, record.sums);
  return record;
}

Error Journal::misfit(std::uint64_t segment) const {
  return Error(ErrorKind::failed, fmt::format("the journal {} does not fit this run", path_.string()),
               fmt::format("the record of segment {} has another form", segment),
               fmt::format("remove {} to start again", path_.string()));
}

void Journal::remove() {
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) throw write_error(path_, errno);
}

}  // namespace tutti::images
