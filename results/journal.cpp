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
#include <tutti/error.hpp>
#include <type_traits>

#include "common/atomic_file.hpp"
#include "common/checksum.hpp"
#include "common/json.hpp"

namespace tutti::images {
namespace {

constexpr std::string_view kMagic = "tutti-journal/2\n";
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
  std::uint32_t width = 0;
  std::uint32_t members = 0;
  std::uint32_t decisions = 0;
  std::uint32_t labels = 0;  // 0 or 1: whether there are any
  std::uint32_t spread = 0;
};
static_assert(sizeof(SegmentHead) == 32 && std::is_trivially_copyable_v<SegmentHead>);

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

/// Whether a payload of `length` bytes holds exactly what its head announces.
bool sizes_agree(const SegmentHead& head, std::span<const std::uint32_t> widths, std::uint64_t length) {
  std::uint64_t values = std::uint64_t{head.width} + head.spread;  // per image; the sum of 2^32 widths of 32 bits fits
  for (const std::uint32_t width : widths) values += width;
  if (values > length / sizeof(float) / head.count) return false;
  const std::uint64_t classes =
      std::uint64_t{head.count} * sizeof(std::int64_t) * (std::uint64_t{head.decisions} + head.labels);
  return length == sizeof(SegmentHead) + widths.size_bytes() + classes + values * head.count * sizeof(float);
}

/// Cuts typed values off the front of a payload.
class Cutter {
 public:
  explicit Cutter(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class Value>
  std::vector<Value> take(std::uint64_t count) {
    std::vector<Value> values(count);
    assert(count * sizeof(Value) <= bytes_.size());
    if (count > 0) std::memcpy(values.data(), bytes_.data(), count * sizeof(Value));
    bytes_ = bytes_.subspan(count * sizeof(Value));
    return values;
  }

 private:
  std::span<const std::byte> bytes_;
};

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
  if (segment >= header_.segments() || head.first % header_.segment_images != 0 || holds(segment)) return false;
  if (head.count != header_.count_of(segment) || head.members != header_.members) return false;
  if (head.decisions > head.width || head.spread > head.width || head.labels > 1) return false;
  if (head.members > (extent.length - sizeof(SegmentHead)) / sizeof(std::uint32_t)) return false;
  std::vector<std::uint32_t> widths(head.members);
  read_at(path_, file_.get(), extent.offset + sizeof(SegmentHead), std::as_writable_bytes(std::span(widths)));
  if (!sizes_agree(head, widths, extent.length)) return false;
  extents_.emplace(segment, extent);
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

void Journal::append(const SegmentResult& result) {
  const std::uint64_t segment = result.first / header_.segment_images;
  assert(begun_ && !holds(segment) && result.count == header_.count_of(segment));
  assert(!result.set_aside && result.members_present() == header_.members);
  const SegmentHead segment_head{result.first,         result.count,       result.width,
                                 header_.members,      result.decisions(), result.labels.empty() ? 0U : 1U,
                                 result.spread_width()};
  std::vector<std::uint32_t> widths;
  for (const MemberSegmentResult& member : result.members) widths.push_back(member.width);
  RecordHead head;
  std::vector<std::span<const std::byte>> parts{bytes_of(head),
                                                bytes_of(segment_head),
                                                std::as_bytes(std::span(widths)),
                                                std::as_bytes(result.predicted),
                                                std::as_bytes(result.labels),
                                                std::as_bytes(result.values),
                                                std::as_bytes(result.spread)};
  for (const MemberSegmentResult& member : result.members) parts.push_back(std::as_bytes(member.values));
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

void Journal::replay(std::uint64_t segment, const AnswerForm& form, Sink& sink) const {
  const Extent extent = extents_.at(segment);
  std::vector<std::byte> payload(extent.length);
  read_at(path_, file_.get(), extent.offset, payload);
  Cutter cutter(payload);
  // The file is locked, and read_segment() has checked its sizes against its length.
  const SegmentHead head = cutter.take<SegmentHead>(1).front();
  const auto widths = cutter.take<std::uint32_t>(head.members);
  if (AnswerForm{head.width, head.decisions, head.labels != 0, widths, head.spread} != form)
    throw Error(ErrorKind::failed, fmt::format("the journal {} does not fit this run", path_.string()),
                fmt::format("the predictions of segment {} have another form", segment),
                fmt::format("remove {} to start again", path_.string()));
  const auto predicted = cutter.take<std::int64_t>(head.decisions * std::uint64_t{head.count});
  const auto labels = cutter.take<std::int64_t>(head.labels * std::uint64_t{head.count});
  const auto values = cutter.take<float>(std::uint64_t{head.width} * head.count);
  const auto spread = cutter.take<float>(std::uint64_t{head.spread} * head.count);
  std::vector<std::vector<float>> answers;
  std::vector<MemberSegmentResult> members;
  for (const std::uint32_t width : widths) {
    answers.push_back(cutter.take<float>(std::uint64_t{width} * head.count));
    members.push_back({width, answers.back()});
  }
  SegmentResult result;
  result.first = head.first;
  result.count = head.count;
  result.width = head.width;
  result.values = values;
  result.predicted = predicted;
  result.labels = labels;
  result.spread = spread;
  result.members = members;
  sink.write(result);
}

void Journal::remove() {
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT) throw write_error(path_, errno);
}

}  // namespace tutti::images
