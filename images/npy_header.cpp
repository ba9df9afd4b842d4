// The header of .npy files: magic, version, length, and a Python dictionary of three keys.
#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <tutti/error.hpp>

#include "common/counted.hpp"
#include "images/npy.hpp"

namespace tutti::images {
namespace {

static_assert(std::endian::native == std::endian::little, "lengths are read without swapping bytes");

constexpr std::string_view kMagic{"\x93NUMPY", 6};
constexpr std::size_t kMaxHeaderBytes = 1 << 20;  // a header of three short keys has about a hundred bytes
constexpr std::size_t kMaxRank = 32;              // NumPy's own limit
constexpr const char* kSaveWithNumpy = "save it with numpy.save(path, array)";

[[noreturn]] void refuse(const InputFile& file, std::string detail) {
  throw Error(ErrorKind::usage, fmt::format("{} is not a valid .npy file", file.path().string()), std::move(detail),
              kSaveWithNumpy);
}

// Reads the dictionary literal that NumPy writes; not Python in general.
class DictionaryReader {
 public:
  explicit DictionaryReader(std::string_view text) : text_(text) {}

  // Nothing if the text is not a dictionary of exactly the three keys.
  std::optional<NpyHeader> read() {
    NpyHeader header;
    unsigned seen = 0;  // one bit per key
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      const std::optional<std::string> key = quoted();
      if (!key || !take(':') || !value_of(*key, header, seen)) return std::nullopt;
      if (!take(',') && peek() != '}') return std::nullopt;
    }
    skip_space();
    return seen == 7 && text_.empty() ? std::optional(header) : std::nullopt;
  }

 private:
  bool value_of(const std::string& key, NpyHeader& header, unsigned& seen) {
    if (key == "descr") {
      seen |= 1;
      const auto text = quoted();
      if (text) header.descr = *text;
      return text.has_value();
    }
    if (key == "fortran_order") {
      seen |= 2;
      header.fortran_order = word("True");
      return header.fortran_order || word("False");
    }
    seen |= 4;
    return key == "shape" && tuple(header.shape);
  }

  bool tuple(std::vector<std::uint64_t>& numbers) {
    if (!take('(')) return false;
    while (!take(')')) {
      std::uint64_t number = 0;
      skip_space();
      const auto [end, code] = std::from_chars(text_.data(), text_.data() + text_.size(), number);
      if (code != std::errc{} || numbers.size() == kMaxRank) return false;
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      numbers.push_back(number);
      if (!take(',') && peek() != ')') return false;
    }
    return true;
  }

  std::optional<std::string> quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return std::nullopt;
    const std::size_t end = text_.find(quote, 1);
    if (end == text_.npos) return std::nullopt;
    std::string inside(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return inside;
  }

  bool word(std::string_view expected) {
    skip_space();
    if (!text_.starts_with(expected)) return false;
    text_.remove_prefix(expected.size());
    return true;
  }

  bool take(char expected) {
    if (peek() != expected) return false;
    text_.remove_prefix(1);
    return true;
  }

  char peek() {
    skip_space();
    return text_.empty() ? '\0' : text_.front();
  }

  void skip_space() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\n"), text_.size())); }

  std::string_view text_;
};

}  // namespace

std::string NpyHeader::shape_text() const {
  return shape.size() == 1 ? fmt::format("({},)", shape[0]) : fmt::format("({})", fmt::join(shape, ", "));
}

NpyHeader read_npy_header(const InputFile& file) {
  std::array<char, 12> start{};  // magic, version, and a length of two or four bytes
  if (file.size() < start.size())
    refuse(file, fmt::format("it has {}, fewer than any header", counted(file.size(), "byte")));
  file.read(0, std::as_writable_bytes(std::span(start)));
  if (std::string_view(start.data(), kMagic.size()) != kMagic)
    refuse(file, "it does not begin with the magic bytes \\x93NUMPY");
  const int version = start[6];
  if (version < 1 || version > 3)
    refuse(file, fmt::format("its format is {}.{}; Tutti reads 1.0, 2.0 and 3.0", version, int{start[7]}));
  std::uint32_t length = 0;
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  std::memcpy(&length, &start[8], length_bytes);
  const std::size_t begin = 8 + length_bytes;
  if (length > kMaxHeaderBytes || length > file.size() - begin)
    refuse(file, fmt::format("its header would have {}, and the file has {}", counted(length, "byte"), file.size()));
  std::string text(length, '\0');
  file.read(begin, std::as_writable_bytes(std::span(text)));
  std::optional<NpyHeader> header = DictionaryReader(text).read();
  if (!header) refuse(file, "its header is not a dictionary of descr, fortran_order and shape");
  if (header->descr == "bfloat16") header->descr = kBfloat16;
  header->data_offset = begin + length;
  return *header;
}

}  // namespace tutti::images
