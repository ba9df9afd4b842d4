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

#include "common/check.hpp"
#include "common/counted.hpp"
#include "common/json.hpp"
#include "common/lfs_pointer.hpp"
#include "common/nearest.hpp"
#include "merge/safetensors_format.hpp"

namespace tutti::merge {
namespace {

static_assert(std::endian::native == std::endian::little, "lengths and tensors are read without swapping bytes");

constexpr std::uint64_t kZip = 0x04034b50;  ///< "PK\3\4"
constexpr std::uint64_t kPickle = 0x80;     ///< its first byte

constexpr const char* kWriteAgain =
    "save the weights again, for example with safetensors.torch.save_model(model, path)";

struct DtypeRow {
  Dtype dtype;
  std::string_view name;
  std::size_t bits;
};
constexpr std::array kDtypes{DtypeRow{Dtype::f64, "F64", 64},        DtypeRow{Dtype::f32, "F32", 32},
                             DtypeRow{Dtype::f16, "F16", 16},        DtypeRow{Dtype::bf16, "BF16", 16},
                             DtypeRow{Dtype::i64, "I64", 64},        DtypeRow{Dtype::i32, "I32", 32},
                             DtypeRow{Dtype::i16, "I16", 16},        DtypeRow{Dtype::i8, "I8", 8},
                             DtypeRow{Dtype::u8, "U8", 8},           DtypeRow{Dtype::boolean, "BOOL", 8},
                             DtypeRow{Dtype::u64, "U64", 64},        DtypeRow{Dtype::u32, "U32", 32},
                             DtypeRow{Dtype::u16, "U16", 16},        DtypeRow{Dtype::c64, "C64", 64},
                             DtypeRow{Dtype::f8_e4m3, "F8_E4M3", 8}, DtypeRow{Dtype::f8_e5m2, "F8_E5M2", 8},
                             DtypeRow{Dtype::f8_e8m0, "F8_E8M0", 8}, DtypeRow{Dtype::f8_e4m3fnuz, "F8_E4M3FNUZ", 8},
                             DtypeRow{Dtype::f6_e2m3, "F6_E2M3", 6}, DtypeRow{Dtype::f8_e5m2fnuz, "F8_E5M2FNUZ", 8},
                             DtypeRow{Dtype::f6_e3m2, "F6_E3M2", 6}, DtypeRow{Dtype::f4, "F4", 4}};

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
  if ((length & 0xffffffffU) == kZip) refuse_header(file, "it is a zip archive, as torch.save writes");
  if ((length & 0xffU) == kPickle && length > kMaxHeaderBytes)
    refuse_header(file, "it is a Python pickle, as torch.save wrote before PyTorch 1.6");
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
    if (!text.is_string())
      refuse_header(file, fmt::format("the value of {} in __metadata__ is not a string", std::string_view(key)));
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

/// Of tensors that share memory, safetensors.torch.save_model() writes one; the metadata name it for each of the others
/// ({"lm_head.weight": "embed.weight"}).
void add_tied(Header& header) {
  for (const auto& [name, kept] : header.metadata) {
    if (name == "format") continue;  // of the library that wrote the file: "pt"
    const auto entry = header.entries.find(kept);
    if (entry != header.entries.end() && !header.entries.contains(name))
      header.entries.emplace(name, HeaderEntry(entry->second));
  }
}

}  // namespace

std::size_t bits_of(Dtype dtype) { return row_of(dtype).bits; }

std::size_t size_of(Dtype dtype) {
  TUTTI_CHECK(bits_of(dtype) % 8 == 0U);
  return bits_of(dtype) / 8;
}

bool is_supported(Dtype dtype) { return dtype < Dtype::c64; }

std::string_view dtype_name(Dtype dtype) { return row_of(dtype).name; }
std::string shape_text(std::span<const std::int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::optional<Dtype> dtype_of(std::string_view name) {
  const auto row = std::ranges::find(kDtypes, name, &DtypeRow::name);
  return row == kDtypes.end() ? std::nullopt : std::optional(row->dtype);
}

std::optional<std::size_t> bytes_of(Dtype dtype, std::span<const std::int64_t> shape) {
  std::size_t bits = bits_of(dtype);
  for (const std::int64_t extent : shape)
    if (extent < 0 || __builtin_mul_overflow(bits, static_cast<std::size_t>(extent), &bits)) return std::nullopt;
  return bits % 8 == 0 ? std::optional(bits / 8) : std::nullopt;  // the format has no half bytes
}

FileReader::FileReader(int fd, std::string name, std::string what)
    : fd_(fd), name_(std::move(name)), what_(std::move(what)) {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) cannot_read(what_, errno);
  if (S_ISDIR(status.st_mode)) cannot_read(what_, EISDIR);
  size_ = static_cast<std::uint64_t>(status.st_size);
  refuse_lfs_pointer(fd_, name_);
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
  add_tied(header);
  return header;
}

std::string listed(std::span<const std::string> names) {
  constexpr std::size_t kMostListed = 20;
  if (names.empty()) return "none";
  if (names.size() <= kMostListed) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.first(kMostListed), ", "), names.size() - kMostListed);
}

void refuse_unknown_tensor(const std::string& file, std::string_view name, std::span<const std::string> names) {
  const std::string close = nearest(name, names);
  throw Error(ErrorKind::usage, fmt::format("{} has no tensor {}", file, name), fmt::format("it has {}", listed(names)),
              close.empty() ? std::string{} : fmt::format("did you mean {}?", close));
}

}  // namespace tutti::merge
