// Reading of a safetensors file's header. Every field is checked before a byte of data is handed out: the file may come
// from anywhere.
#include "merge/safetensors_header.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "common/json.hpp"
#include "common/nearest.hpp"
#include "merge/safetensors_format.hpp"

namespace tutti::merge {
namespace {

static_assert(std::endian::native == std::endian::little, "lengths and tensors are read without swapping bytes");

constexpr const char* kWriteAgain =
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

[[noreturn]] void refuse_header(const std::string& file, std::string detail) {
  throw Error(ErrorKind::usage, fmt::format("{} is not a valid safetensors file", file), std::move(detail),
              kWriteAgain);
}

[[noreturn]] void cannot_read(const std::string& what, int code) {
  throw Error(ErrorKind::usage, fmt::format("cannot read {}", what), std::generic_category().message(code));
}

UniqueFd opened(const std::filesystem::path& file) {
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) cannot_read(fmt::format("the weights {}", file.string()), errno);
  return fd;
}

std::string header_text(const FileReader& reader) {
  const std::string& file = reader.name();
  if (reader.size() < kLengthBytes)
    refuse_header(
        file, fmt::format("it has {}, and the header's length needs {}", counted(reader.size(), "byte"), kLengthBytes));
  std::uint64_t length = 0;
  reader.read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > kMaxHeaderBytes)
    refuse_header(file, fmt::format("its header would have {}, and at most {} are allowed", counted(length, "byte"),
                                    kMaxHeaderBytes));
  if (length > reader.size() - kLengthBytes)
    refuse_header(file, fmt::format("its header would have {}, and only {} follow", counted(length, "byte"),
                                    reader.size() - kLengthBytes));
  std::string header(static_cast<std::size_t>(length), '\0');
  reader.read(kLengthBytes, std::as_writable_bytes(std::span(header)));
  return header;
}

json::object parse_header(const std::string& file, const std::string& text) {
  json::value header;
  try {
    header = parse_json(text, "the header");
  } catch (const Error& error) {
    refuse_header(file, fmt::format("{}: {}", error.message(), error.detail()));
  }
  if (!header.is_object()) refuse_header(file, "the header is not a JSON object");
  return std::move(header.as_object());
}

std::map<std::string, std::string> parse_metadata(const std::string& file, const json::value& value) {
  if (!value.is_object()) refuse_header(file, "__metadata__ is not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.as_object()) {
    if (!text.is_string()) refuse_header(file, fmt::format("the value of {} in __metadata__ is not a string", std::string_view(key)));
    metadata.emplace(key, text.as_string());
  }
  return metadata;
}

// The whole numbers of a list; nothing if one of them is something else.
std::optional<std::vector<std::int64_t>> integers(const json::value* value) {
  if (value == nullptr || !value->is_array()) return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const json::value& number : value->as_array()) {
    if (!number.is_int64()) return std::nullopt;  // the parser takes every number up to 2^63 - 1 as int64
    numbers.push_back(number.as_int64());
  }
  return numbers;
}

HeaderEntry parse_entry(const std::string& file, std::string_view name, const json::value& value,
                        std::uint64_t data_bytes) {
  const json::object* fields = value.if_object();
  if (fields == nullptr) refuse_header(file, fmt::format("the entry of tensor {} is not an object", name));
  const json::value* type = fields->if_contains("dtype");
  if (type == nullptr || !type->is_string()) refuse_header(file, fmt::format("tensor {} has no dtype", name));
  const std::optional<Dtype> dtype = dtype_of(std::string_view(type->as_string()));
  if (!dtype)
    refuse_header(file, fmt::format("tensor {} has the unknown dtype {}", name, std::string_view(type->as_string())));
  auto shape = integers(fields->if_contains("shape"));
  if (!shape) refuse_header(file, fmt::format("the shape of tensor {} is not a list of whole numbers", name));
  const auto bytes = bytes_of(*dtype, *shape);
  if (!bytes)
    refuse_header(file, fmt::format("tensor {} has the impossible shape [{}]", name, fmt::join(*shape, ", ")));
  const auto offsets = integers(fields->if_contains("data_offsets"));
  if (!offsets || offsets->size() != 2)
    refuse_header(file, fmt::format("the data_offsets of tensor {} are not two whole numbers", name));
  const std::int64_t begin = (*offsets)[0];
  const std::int64_t end = (*offsets)[1];
  if (begin < 0 || begin > end || static_cast<std::uint64_t>(end) > data_bytes)
    refuse_header(file, fmt::format("tensor {} should be at bytes {} to {} of {}", name, begin, end, data_bytes));
  if (static_cast<std::uint64_t>(end - begin) != *bytes)
    refuse_header(file, fmt::format("tensor {} has {}, and {} of shape [{}] needs {}", name,
                                    counted(end - begin, "byte"), dtype_name(*dtype), fmt::join(*shape, ", "), *bytes));
  return {*dtype, std::move(*shape), static_cast<std::uint64_t>(begin), static_cast<std::uint64_t>(end)};
}

// The format requires that the tensors cover the data without overlap and without holes.
void check_cover(const std::string& file, const Header& header) {
  std::vector<const std::pair<const std::string, HeaderEntry>*> places;
  for (const auto& row : header.entries) places.push_back(&row);
  std::ranges::sort(places, {}, [](const auto* row) { return std::pair(row->second.begin, row->second.end); });
  std::uint64_t covered = 0;
  std::string_view before;
  for (const auto* row : places) {
    const std::uint64_t begin = row->second.begin;
    if (begin < covered) refuse_header(file, fmt::format("tensors {} and {} overlap", before, row->first));
    if (begin > covered)
      refuse_header(file, fmt::format("bytes {} to {} of the data belong to no tensor", covered, begin));
    covered = row->second.end;
    before = row->first;
  }
  if (covered != header.data_bytes)
    refuse_header(file, fmt::format("bytes {} to {} of the data belong to no tensor", covered, header.data_bytes));
}

}  // namespace

std::size_t size_of(Dtype dtype) { return row_of(dtype).size; }

std::string_view dtype_name(Dtype dtype) { return row_of(dtype).name; }
std::string shape_text(std::span<const std::int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

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

FileReader::FileReader(int fd, std::string name, std::string what)
    : fd_(fd), name_(std::move(name)), what_(std::move(what)) {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) cannot_read(what_, errno);
  if (S_ISDIR(status.st_mode)) cannot_read(what_, EISDIR);
  size_ = static_cast<std::uint64_t>(status.st_size);
}

FileReader::FileReader(const std::filesystem::path& file)
    : FileReader(opened(file), file.string(), fmt::format("the weights {}", file.string())) {}

FileReader::FileReader(UniqueFd fd, std::string name, std::string what)
    : FileReader(fd.get(), std::move(name), std::move(what)) {
  own_ = std::move(fd);
}

void FileReader::read(std::uint64_t offset, std::span<std::byte> out) const {
  const auto fail = [&](std::string reason) {
    throw Error(ErrorKind::failed, fmt::format("could not read {}", what_), std::move(reason));
  };
  while (!out.empty()) {
    const ssize_t count = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(std::generic_category().message(errno));
    if (count == 0) fail("it became shorter while it was read");
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

Header read_header(const FileReader& reader) {
  const std::string text = header_text(reader);
  Header header;
  header.data_begin = kLengthBytes + text.size();
  header.data_bytes = reader.size() - header.data_begin;
  for (const auto& [key, value] : parse_header(reader.name(), text)) {
    if (std::string_view(key) == kMetadataKey)
      header.metadata = parse_metadata(reader.name(), value);
    else
      header.entries.emplace(key, parse_entry(reader.name(), key, value, header.data_bytes));
  }
  check_cover(reader.name(), header);
  return header;
}

std::string listed(std::span<const std::string> names) {
  constexpr std::size_t kMost = 20;
  if (names.empty()) return "none";
  if (names.size() <= kMost) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.first(kMost), ", "), names.size() - kMost);
}

void refuse_unknown_tensor(const std::string& file, std::string_view name, std::span<const std::string> names) {
  const std::string close = nearest(name, names);
  throw Error(ErrorKind::usage, fmt::format("{} has no tensor {}", file, name), fmt::format("it has {}", listed(names)),
              close.empty() ? std::string{} : fmt::format("did you mean {}?", close));
}

}  // namespace tutti::merge
