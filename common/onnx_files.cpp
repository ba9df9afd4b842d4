#include "common/onnx_files.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <system_error>

namespace tutti {
namespace {

namespace fs = std::filesystem;

/// Messages on the way to a name.
enum class Message : std::uint8_t { model, function, graph, node, attribute, sparse, tensor, entry };

struct Step {
  Message in;
  std::uint64_t field;
  Message to;
};
constexpr std::array kSteps{
    Step{Message::model, 7, Message::graph},       Step{Message::model, 25, Message::function},
    Step{Message::function, 7, Message::node},     Step{Message::graph, 1, Message::node},
    Step{Message::graph, 5, Message::tensor},      Step{Message::graph, 15, Message::sparse},
    Step{Message::node, 5, Message::attribute},    Step{Message::attribute, 5, Message::tensor},
    Step{Message::attribute, 6, Message::graph},   Step{Message::attribute, 10, Message::tensor},
    Step{Message::attribute, 11, Message::graph},  Step{Message::attribute, 22, Message::sparse},
    Step{Message::attribute, 23, Message::sparse}, Step{Message::sparse, 1, Message::tensor},
    Step{Message::sparse, 2, Message::tensor},     Step{Message::tensor, 13, Message::entry}};

/// A graph in an attribute of a node of a graph ...: deeper than any model.
constexpr int kDeepest = 64;
constexpr std::uint64_t kLongestText = 4096;

/// Goes through the file front to back; `false` from any function: no more can be read.
class Scan {
 public:
  explicit Scan(const fs::path& file) : in_(file, std::ios::binary) {
    std::error_code none;
    size_ = fs::file_size(file, none);
    if (none) size_ = 0;
  }

  std::set<std::string> run() {
    message(Message::model, size_, 0);
    return std::move(names_);
  }

 private:
  bool varint(std::uint64_t end, std::uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && at_ < end; shift += 7) {
      const int byte = in_.get();
      if (byte < 0) return false;
      ++at_;
      value |= (static_cast<std::uint64_t>(byte) & 0x7F) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }
  /// Within a buffer's length it reads on, which is faster than seeking.
  bool skip(std::uint64_t end, std::uint64_t bytes) {
    constexpr std::uint64_t kNear = 4096;
    if (bytes > end - at_) return false;
    at_ += bytes;
    if (bytes <= kNear)
      in_.ignore(static_cast<std::streamsize>(bytes));
    else
      in_.seekg(static_cast<std::streamoff>(at_));
    return in_.good();
  }
  bool text(std::uint64_t end, std::uint64_t bytes, std::string& value) {
    if (bytes > kLongestText) return skip(end, bytes);
    if (bytes > end - at_) return false;
    value.resize(bytes);
    in_.read(value.data(), static_cast<std::streamsize>(bytes));
    at_ += bytes;
    return in_.good();
  }

  bool message(Message kind, std::uint64_t end, int depth) {
    std::string key;
    std::string value;
    while (at_ < end) {
      std::uint64_t tag = 0;
      std::uint64_t bytes = 0;
      if (!varint(end, tag)) return false;
      constexpr std::uint64_t kWhole = 0;
      constexpr std::uint64_t kEight = 1;
      constexpr std::uint64_t kLong = 2;
      constexpr std::uint64_t kFour = 5;
      const std::uint64_t form = tag & 7;
      if (form == kWhole) {
        if (!varint(end, bytes)) return false;
      } else if (form == kEight || form == kFour) {
        if (!skip(end, form == kEight ? 8 : 4)) return false;
      } else if (form != kLong || !varint(end, bytes) || !field(kind, tag >> 3, end, bytes, depth, key, value)) {
        return false;
      }
    }
    if (kind == Message::entry && key == "location" && !value.empty()) names_.insert(value);
    return true;
  }

  bool field(Message kind, std::uint64_t number, std::uint64_t end, std::uint64_t bytes, int depth, std::string& key,
             std::string& value) {
    if (bytes > end - at_) return false;
    if (kind == Message::entry && number == 1) return text(end, bytes, key);
    if (kind == Message::entry && number == 2) return text(end, bytes, value);
    const auto step =
        std::ranges::find_if(kSteps, [&](const Step& one) { return one.in == kind && one.field == number; });
    if (step == kSteps.end() || depth == kDeepest) return skip(end, bytes);
    return message(step->to, at_ + bytes, depth + 1);
  }

  std::ifstream in_;
  std::uint64_t size_ = 0;
  std::uint64_t at_ = 0;
  std::set<std::string> names_;
};

/// Whether it stays in the model's folder, or in one below it.
bool stays(const fs::path& name) {
  return !name.is_absolute() && name.native().find('\0') == std::string::npos &&
         std::ranges::none_of(name, [](const fs::path& part) { return part == ".."; });
}

}  // namespace

std::vector<fs::path> onnx_weight_files(const fs::path& model) {
  std::error_code none;
  if (!fs::is_regular_file(model, none)) return {};
  std::set<fs::path> files;
  for (const fs::path name : Scan(model).run()) {
    if (!stays(name)) continue;
    const fs::path file = (model.parent_path() / name).lexically_normal();
    if (fs::is_regular_file(file, none)) files.insert(file);
  }
  return {files.begin(), files.end()};
}

}  // namespace tutti
