// Reading of safetensors. Every field of the header is checked before a byte of data is handed out: the file may come
// from anywhere.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <tutti/error.hpp>

#include "common/json.hpp"
#include "common/nearest.hpp"
#include "common/unique_fd.hpp"
#include "merge/safetensors_format.hpp"

namespace tutti::merge {
namespace {

static_assert(std::endian::native == std::endian::little, "lengths and tensors are read as they stand in the file");

constexpr const char* kHint =
    "save the weights again, for example with safetensors.torch.save_file(model.state_dict(), path)";

struct DtypeRow {
  Dtype dtype;
  std::string_view name;
  std::size_t size;
};
constexpr std::array kDtypes{DtypeRow{Dtype::f64, "F64", 8}, DtypeRow{Dtype::f32, "F32", 4},
                             DtypeRow{Dtype::f16, "F16", 2}, DtypeRow{Dtype::bf16, "BF16", 2},
                             DtypeRow{Dtype::i64, "I64", 8}, DtypeRow{Dtype::i32, "I32", 4},
                             DtypeRow{Dtype::i16, "I16", 2}, DtypeRow{Dtype::i8, "I8", 1},
                             DtypeRow{Dtype::u8, "U8", 1},   DtypeRow{Dtype::boolean, "BOOL", 1}};

const DtypeRow& row_of(Dtype dtype) { return *std::ranges::find(kDtypes, dtype, &DtypeRow::dtype); }

[[noreturn]] void refuse(const std::string& file, std::string detail) {
  throw Error(ErrorKind::usage, fmt::format("{} is not a valid safetensors file", file), std::move(detail), kHint);
}

[[noreturn]] void cannot_read(const std::string& what, int code) {
  throw Error(ErrorKind::usage, fmt::format("cannot read {}", what), std::generic_category().message(code));
}

UniqueFd opened(const std::string& file) {
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) cannot_read(fmt::format("the weights {}", file), errno);
  return fd;
}

}  // namespace

// One open file, read front to back, without moving the position that it shares with other processes.
class FileReader {
 public:
  /// `what` is the name with what it is: "the weights a.safetensors".
  FileReader(int fd, std::string name, std::string what) : fd_(fd), name_(std::move(name)), what_(std::move(what)) {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) cannot_read(what_, errno);
    if (S_ISDIR(status.st_mode)) cannot_read(what_, EISDIR);
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  const std::string& name() const noexcept { return name_; }
  std::uint64_t size() const noexcept { return size_; }

  void read(void* to, std::size_t bytes) {
    auto* place = static_cast<std::byte*>(to);
    while (bytes > 0) {
      const ssize_t count = ::pread(fd_, place, bytes, static_cast<off_t>(at_));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) cannot_read(what_, errno);
      if (count == 0) refuse(name_, "it became shorter while it was read");
      place += count;
      at_ += static_cast<std::uint64_t>(count);
      bytes -= static_cast<std::size_t>(count);
    }
  }

 private:
  int fd_;
  std::string name_;
  std::string what_;
  std::uint64_t size_ = 0;
  std::uint64_t at_ = 0;
};

namespace {

std::string read_header(const std::string& file, FileReader& reader) {
  if (reader.size() < kLengthBytes)
    refuse(file,
           fmt::format("it has {} bytes, and the length of the header alone takes {}", reader.size(), kLengthBytes));
  std::uint64_t length = 0;
  reader.read(&length, sizeof length);
  if (length > kMaxHeaderBytes)
    refuse(file, fmt::format("its header would have {} bytes, and at most {} are allowed", length, kMaxHeaderBytes));
  if (length > reader.size() - kLengthBytes)
    refuse(file,
           fmt::format("its header would have {} bytes, and only {} follow", length, reader.size() - kLengthBytes));
  std::string header(static_cast<std::size_t>(length), '\0');
  reader.read(header.data(), header.size());
  return header;
}

json::object parse_header(const std::string& file, const std::string& text) {
  json::value header;
  try {
    header = parse_json(text, "the header");
  } catch (const Error& error) {
    refuse(file, fmt::format("{}: {}", error.message(), error.detail()));
  }
  if (!header.is_object()) refuse(file, "the header is not a JSON object");
  return std::move(header.as_object());
}

std::map<std::string, std::string> parse_metadata(const std::string& file, const json::value& value) {
  if (!value.is_object()) refuse(file, "__metadata__ is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.as_object()) {
    if (!text.is_string()) refuse(file, fmt::format("the value of {} in __metadata__ is not a string", key));
    metadata.emplace(key, text.as_string());
  }
  return metadata;
}

// The whole numbers of a list; nothing where one of them is something else.
std::optional<std::vector<std::int64_t>> integers(const json::value* value) {
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const json::value& number : value->as_array()) {
    if (!number.is_int64()) return std::nullopt;  // the parser takes every number up to 2^63 - 1 as int64
    numbers.push_back(number.as_int64());
  }
  return numbers;
}

struct ParsedEntry {
  Dtype dtype;
  std::vector<std::int64_t> shape;
  std::size_t begin;
  std::size_t end;
};

ParsedEntry parse_entry(const std::string& file, std::string_view name, const json::value& value,
                        std::uint64_t data_bytes) {
  const json::object* fields = value.if_object();
  if (fields == nullptr) refuse(file, fmt::format("the entry of tensor {} is not an object", name));
  const json::value* type = fields->if_contains("dtype");
  if (type == nullptr || !type->is_string()) refuse(file, fmt::format("tensor {} has no dtype", name));
  const std::optional<Dtype> dtype = dtype_of(std::string_view(type->as_string()));
  if (!dtype)
    refuse(file, fmt::format("tensor {} has the unknown dtype {}", name, std::string_view(type->as_string())));
  auto shape = integers(fields->if_contains("shape"));
  if (!shape) refuse(file, fmt::format("the shape of tensor {} is not a list of whole numbers", name));
  const auto bytes = bytes_of(*dtype, *shape);
  if (!bytes) refuse(file, fmt::format("tensor {} has the impossible shape [{}]", name, fmt::join(*shape, ", ")));
  const auto offsets = integers(fields->if_contains("data_offsets"));
  if (!offsets || offsets->size() != 2)
    refuse(file, fmt::format("the data_offsets of tensor {} are not two whole numbers", name));
  const std::int64_t begin = (*offsets)[0];
  const std::int64_t end = (*offsets)[1];
  if (begin < 0 || begin > end || static_cast<std::uint64_t>(end) > data_bytes)
    refuse(file, fmt::format("tensor {} is said to stand at bytes {} to {} of {}", name, begin, end, data_bytes));
  if (static_cast<std::size_t>(end - begin) != *bytes)
    refuse(file, fmt::format("tensor {} has {} bytes, and {} of shape [{}] needs {}", name, end - begin,
                             dtype_name(*dtype), fmt::join(*shape, ", "), *bytes));
  return {*dtype, std::move(*shape), static_cast<std::size_t>(begin), static_cast<std::size_t>(end)};
}

struct Place {
  std::size_t begin;
  std::size_t end;
  std::string_view name;
};

// The format wants the tensors to cover the data without overlap and without holes.
void check_cover(const std::string& file, std::vector<Place> places, std::uint64_t data_bytes) {
  std::ranges::sort(places, {}, [](const Place& p) { return std::pair(p.begin, p.end); });
  std::size_t covered = 0;
  std::string_view before;
  for (const Place& place : places) {
    if (place.begin < covered) refuse(file, fmt::format("tensors {} and {} overlap", before, place.name));
    if (place.begin > covered)
      refuse(file, fmt::format("bytes {} to {} of the data belong to no tensor", covered, place.begin));
    covered = place.end;
    before = place.name;
  }
  if (covered != data_bytes)
    refuse(file, fmt::format("bytes {} to {} of the data belong to no tensor", covered, data_bytes));
}

}  // namespace

std::size_t size_of(Dtype dtype) { return row_of(dtype).size; }

std::string_view dtype_name(Dtype dtype) { return row_of(dtype).name; }

std::optional<Dtype> dtype_of(std::string_view name) {
  const auto row = std::ranges::find(kDtypes, name, &DtypeRow::name);
  return row == kDtypes.end() ? std::nullopt : std::optional(row->dtype);
}

std::optional<std::size_t> bytes_of(Dtype dtype, std::span<const std::int64_t> shape) {
  std::size_t bytes = size_of(dtype);
  for (const std::int64_t extent : shape)
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<std::size_t>(extent), &bytes)) return std::nullopt;
  return bytes;
}

Safetensors Safetensors::read(const std::filesystem::path& path) {
  const UniqueFd fd = opened(path.string());
  FileReader reader(fd.get(), path.string(), fmt::format("the weights {}", path.string()));
  return read(reader);
}

Safetensors Safetensors::read(int fd, const std::string& name) {
  FileReader reader(fd, name, name);
  return read(reader);
}

Safetensors Safetensors::read(FileReader& reader) {
  Safetensors result;
  result.file_ = reader.name();
  const std::string text = read_header(result.file_, reader);
  const std::uint64_t data_bytes = reader.size() - kLengthBytes - text.size();
  std::vector<Place> places;
  const json::object header = parse_header(result.file_, text);
  for (const auto& [key, value] : header) {
    if (std::string_view(key) == kMetadataKey) {
      result.metadata_ = parse_metadata(result.file_, value);
      continue;
    }
    ParsedEntry entry = parse_entry(result.file_, key, value, data_bytes);
    places.push_back({entry.begin, entry.end, key});
    result.names_.emplace_back(key);
    result.entries_.emplace(key, Entry{entry.dtype, std::move(entry.shape), entry.begin, entry.end});
  }
  check_cover(result.file_, std::move(places), data_bytes);
  std::ranges::sort(result.names_);
  result.data_.resize(static_cast<std::size_t>(data_bytes));
  reader.read(result.data_.data(), result.data_.size());
  return result;
}

bool Safetensors::contains(std::string_view name) const { return entries_.contains(name); }

TensorView Safetensors::tensor(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    const std::string close = nearest(name, names_);
    throw Error(ErrorKind::usage, fmt::format("{} has no tensor {}", file_, name),
                fmt::format("it has {}", names_.empty() ? "none" : fmt::format("{}", fmt::join(names_, ", "))),
                close.empty() ? std::string{} : fmt::format("did you mean {}?", close));
  }
  const Entry& entry = found->second;
  return {found->first, entry.dtype, entry.shape, std::span(data_).subspan(entry.begin, entry.end - entry.begin)};
}

}  // namespace tutti::merge
