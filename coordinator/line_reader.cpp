#include "coordinator/line_reader.hpp"

#include <algorithm>

namespace tutti {

void LineReader::add(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::size_t wanted = std::min(newline, bytes.size());
    const std::size_t taken = std::min(wanted, kMaxLineBytes - rest_.size());
    rest_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    const bool at_newline = taken == newline;
    if (at_newline) bytes.remove_prefix(1);
    if (!at_newline && rest_.size() < kMaxLineBytes) return;
    on_line_(rest_);
    rest_.clear();
  }
}

void LineReader::finish() {
  if (!rest_.empty()) on_line_(rest_);
  rest_.clear();
}

}  // namespace tutti
