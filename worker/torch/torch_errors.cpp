#include "worker/torch/torch_errors.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <new>
#include <optional>
#include <regex>
#include <span>
#include <vector>

namespace tutti::worker {
namespace {

constexpr std::size_t kHead = 700;
constexpr std::size_t kTail = 300;
/// Of "Could not run 'aten::empty' with arguments from the 'CUDA' backend": what follows is for those who build
/// PyTorch.
constexpr std::string_view kForBuilders = " This could be because the operator doesn't exist for this backend";

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \n\t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \n\t") - begin + 1);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// "RuntimeError: ..." and the like, as the TorchScript interpreter begins the reason under its traceback.
bool begins_reason(std::string_view line) {
  const std::size_t colon = line.find(": ");
  if (colon == line.npos) return false;
  const std::string_view type = line.substr(0, colon);
  return type.find(' ') == type.npos && (type.ends_with("Error") || type.ends_with("Exception"));
}

/// "net.py, line 7, in forward" of a frame, in the form of a scripted module (File "net.py", line 7, in forward) or of
/// a traced one (net.py(7): forward). Empty if the line is not a frame, or one of PyTorch or of the exporter, which
/// called the module while it was traced.
std::string place_of(std::string_view line) {
  constexpr std::string_view kFile = "File \"";
  std::string_view file;
  std::string place;
  if (line.starts_with(kFile)) {
    line.remove_prefix(kFile.size());
    const std::size_t end = std::min(line.find('"'), line.size());
    file = line.substr(0, end);
    place = fmt::format("{}{}", file, line.substr(std::min(end + 1, line.size())));
  } else {
    const std::size_t open = line.rfind('(');
    const std::size_t close = line.rfind("): ");
    if (open == line.npos || close == line.npos || open > close) return {};
    file = line.substr(0, open);
    place = fmt::format("{}, line {}, in {}", file, line.substr(open + 1, close - open - 1), line.substr(close + 3));
  }
  const auto holds = [&](std::string_view part) { return file.find(part) != file.npos; };
  return holds("/torch/") || holds("code/__torch__") || holds("tutti/export/") ? std::string{} : place;
}

/// The place in the module's Python code that failed: the innermost frame that is the user's. Traces list it first,
/// scripts last.
std::string place_in(std::span<const std::string_view> traceback) {
  std::string found;
  for (std::string_view line : traceback) {
    line = trimmed(line);
    const bool traced = !line.starts_with("File");
    std::string place = place_of(line);
    if (!place.empty() && (found.empty() || !traced)) found = std::move(place);
  }
  return found;
}

/// The reason, without the list of all kernels that an operator has.
std::string without_kernels(std::span<const std::string_view> lines) {
  std::string text;
  for (std::string_view line : lines) {
    if (line.find(" registered at ") != line.npos || line.find(": registered at") != line.npos) continue;
    line = line.substr(0, line.find(kForBuilders));
    if (!trimmed(line).empty()) text += fmt::format("{}{}", text.empty() ? "" : "\n", line);
  }
  return text;
}

bool holds_any(std::string_view text, std::span<const std::string_view> signs) {
  return std::ranges::any_of(signs, [&](std::string_view sign) { return text.find(sign) != text.npos; });
}

std::int64_t whole(const std::string& text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// The batch for which the model was exported, if the reason shows that: the sizes would fit with it in the place of
/// `count`.
std::optional<std::int64_t> built_in_batch(const std::string& reason, std::uint32_t count) {
  static const std::regex view(R"(shape '\[(\d+), ([-\d, ]+)\]' is invalid for input of size (\d+))");
  static const std::regex product(R"(cannot be multiplied \((\d+)x(\d+) and (\d+)x\d+\))");
  static const std::regex sizes(R"(Expected size (\d+) but got size (\d+))");
  const std::int64_t given = count;
  std::smatch found;
  if (std::regex_search(reason, found, view)) {
    const std::int64_t batch = whole(found[1]);
    const std::string rest = found[2];
    std::int64_t values = 1;
    bool free = false;
    for (std::size_t at = 0; at < rest.size(); at = std::min(rest.find(' ', at), rest.size() - 1) + 1) {
      const std::int64_t size = whole(rest.substr(at));
      free = free || size < 0;
      values *= size;
    }
    return batch != given && (free || values * given == whole(found[3])) ? std::optional(batch) : std::nullopt;
  }
  if (std::regex_search(reason, found, product)) {
    const std::int64_t batch = whole(found[1]);
    const std::int64_t values = whole(found[2]);
    // A picture that was not flattened has more rows than columns.
    const bool fits = batch != given && batch <= values && batch * values == given * whole(found[3]);
    return fits ? std::optional(batch) : std::nullopt;
  }
  if (std::regex_search(reason, found, sizes)) {
    const std::int64_t one = whole(found[1]);
    const std::int64_t other = whole(found[2]);
    if (one != other && (one == given || other == given)) return one == given ? other : one;
  }
  return std::nullopt;
}

}  // namespace

std::string shortened(std::string_view text) {
  text = trimmed(text);
  if (text.size() <= kHead + kTail) return std::string(text);
  return fmt::format("{}\n[...]\n{}", text.substr(0, kHead), text.substr(text.size() - kTail));
}

std::string reason_in(std::string_view text) {
  const std::vector<std::string_view> lines = lines_of(trimmed(text));
  const std::span all(lines);
  if (text.find("Traceback of TorchScript") == text.npos) return shortened(without_kernels(all));
  std::size_t first = lines.size() - 1;
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (begins_reason(lines[i])) first = i;
  const std::string reason = shortened(without_kernels(all.subspan(first)));
  const std::string place = place_in(all.first(first));
  return place.empty() ? reason : fmt::format("{} ({})", reason, place);
}

// Memory that is refused outside of LibTorch's allocators comes as a plain error, and its words are the only sign: that
// of the CPU's allocator (c10/core/impl/alloc_cpu.cpp), of CUDA itself, when the process makes its context, and of
// cuBLAS and cuDNN, for their handles and workspaces.
bool is_out_of_memory(const std::exception& error) {
  static constexpr std::array<std::string_view, 4> kSigns{"DefaultCPUAllocator: can't allocate memory",
                                                          "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED",
                                                          "CUDNN_STATUS_ALLOC_FAILED"};
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  return holds_any(error.what(), kSigns);
}

std::string reason_of(const std::exception& error) {
  if (const auto* of_torch = dynamic_cast<const c10::Error*>(&error))
    return reason_in(of_torch->what_without_backtrace());
  return reason_in(error.what());
}

// The words are those of LibTorch 2.11; what is not recognised keeps the caller's hint.
std::string_view fault_of_model(std::string_view reason) {
  static constexpr std::array<std::string_view, 7> kDevice{
      "from the 'CUDA' backend", "CUDAFloatType",          "Expected all tensors to be on the same device",
      "NVIDIA driver",           "not compiled with CUDA", "not linked with support for cuda",
      "Cannot initialize CUDA"};
  static constexpr std::array<std::string_view, 3> kTypes{"to have the same dtype", "must have the same dtype",
                                                          "should be the same"};
  static constexpr std::array<std::string_view, 2> kNarrow{"not implemented for 'Half'",
                                                           "not implemented for 'BFloat16'"};
  if (reason.find("more than 1 value per channel when training") != reason.npos)
    return "call model.eval() before you trace, script or compile the model, and export it again";
  if (holds_any(reason, kDevice))
    return "the model's code names a device: write x.device there, and export the model from the CPU, not from a GPU";
  const bool unlike = holds_any(reason, kTypes) ||
                      (reason.find("expected scalar type") != reason.npos && reason.find("but found") != reason.npos);
  if (unlike || holds_any(reason, kNarrow))
    return "images are float32, and the model's weights or constants are not: export model.float()";
  return {};
}

// The words are those of LibTorch 2.11, as above.
std::string misfit_hint(const std::string& reason, std::uint32_t count) {
  if (const auto batch = built_in_batch(reason, count))
    return fmt::format("the model seems to fix its batch at {}: export it with a free batch", *batch);
  if (reason.find("to have 1 channels, but got 3 channels") != reason.npos)
    return "the model takes pictures of 1 channel, and those of a folder have 3: export it with "
           "x.mean(1, keepdim=True) before its first layer";
  return {};
}

std::string layout_hint(std::span<const std::uint32_t> dims) {
  const auto is_channels = [](std::uint32_t size) { return size == 1 || size == 3; };
  if (dims.size() != 3 || is_channels(dims[0]) || !is_channels(dims[2])) return {};
  return fmt::format("the images are {}x{}x{}: if the last axis is the channels, add 'layout: nhwc' to 'input'",
                     dims[0], dims[1], dims[2]);
}

}  // namespace tutti::worker
