#include "coordinator/process/line_reader.hpp"

#include <algorithm>

namespace tutti {

void LineReader::add(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const bool ends = newline == 0;
    // A full line is cut only once it is known to continue, so that the result does not depend on how the bytes
    // arrived.
    if (ends || rest_.size() == kMaxLineBytes) {
      on_line_(rest_);
      rest_.clear();
    }
    if (ends) bytes.remove_prefix(1);
    const std::size_t taken = ends ? 0 : std::min({newline, bytes.size(), kMaxLineBytes - rest_.size()});
    rest_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
  }
}

void LineReader::finish() {
  if (!rest_.empty()) on_line_(rest_);
  rest_.clear();
}

}  // namespace tutti
