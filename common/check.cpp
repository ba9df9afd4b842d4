#include "common/check.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tutti::check {
namespace {

/// One line in a buffer of fixed size: what went wrong may be the heap. What does not fit is cut off.
class Line {
 public:
  Line& operator<<(std::string_view text) {
    const std::size_t taken = std::min(text.size(), room());
    std::memcpy(text_.data() + size_, text.data(), taken);
    size_ += taken;
    return *this;
  }
  Line& operator<<(const Operand& operand) {
    size_ += operand.print(text_.data() + size_, room());
    return *this;
  }
  /// Without stdio, whose lock another thread may hold.
  void write_to_stderr() {
    text_[size_++] = '\n';
    const ssize_t written = ::write(STDERR_FILENO, text_.data(), size_);
    static_cast<void>(written);
  }

 private:
  std::size_t room() const { return text_.size() - 1 - size_; }  // one is for the end of the line

  std::array<char, 1024> text_;
  std::size_t size_ = 0;
};

/// The path as it is in the tree: compilers are given absolute ones.
std::string_view in_tree(std::string_view file) {
  std::string_view root = __FILE__;
  root.remove_suffix(std::string_view("common/check.cpp").size());
  if (file.starts_with(root)) file.remove_prefix(root.size());
  return file;
}

std::size_t put(char* to, std::size_t size, std::string_view text) {
  const std::size_t taken = std::min(text.size(), size);
  std::memcpy(to, text.data(), taken);
  return taken;
}

template <class... Values>
std::size_t format(char* to, std::size_t size, const char* pattern, Values... values) {
  std::array<char, 32> buffer;  // no number is longer
  const int length = std::snprintf(buffer.data(), buffer.size(), pattern, values...);
  return put(to, size, {buffer.data(), static_cast<std::size_t>(std::max(length, 0))});
}

Line begin(const Site& site) {
  std::array<char, 16> number;
  std::snprintf(number.data(), number.size(), "%d", site.line);
  Line line;
  line << in_tree(site.file) << ":" << number.data() << ": check failed: " << site.text;
  return line;
}

[[noreturn]] void end(Line& line, const Site& site) {
  if (site.why != nullptr) line << ": " << site.why;
  line.write_to_stderr();
  std::abort();
}

}  // namespace

std::size_t Operand::print(char* to, std::size_t size) const {
  switch (kind_) {
    case Kind::none:
      return put(to, size, "?");
    case Kind::boolean:
      return put(to, size, unsigned_ != 0 ? "true" : "false");
    case Kind::signed_number:
      return format(to, size, "%lld", static_cast<long long>(signed_));
    case Kind::unsigned_number:
      return format(to, size, "%llu", static_cast<unsigned long long>(unsigned_));
    case Kind::real:
      return format(to, size, "%.17g", real_);
    case Kind::text: {
      std::size_t used = put(to, size, "\"");
      used += put(to + used, size - used, text_);
      return used + put(to + used, size - used, "\"");
    }
    case Kind::pointer:
      return pointer_ == nullptr ? put(to, size, "null") : format(to, size, "%p", pointer_);
  }
  return 0;
}

void fail(const Site& site, const Operand& left, const char* sign, const Operand& right) noexcept {
  Line line = begin(site);
  if (left.printable() || right.printable()) line << " (" << left << " " << sign << " " << right << ")";
  end(line, site);
}

void fail(const Site& site) noexcept {
  Line line = begin(site);
  end(line, site);
}

}  // namespace tutti::check
