#include "worker/torch/torch_errors.hpp"

#include <algorithm>
#include <array>
#include <new>

namespace tutti::worker {
namespace {

constexpr std::size_t kHead = 300;
constexpr std::size_t kTail = 700;

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \n\t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \n\t") - begin + 1);
}

}  // namespace

std::string shortened(std::string_view text) {
  text = trimmed(text);
  if (text.size() <= kHead + kTail) return std::string(text);
  return fmt::format("{}\n[...]\n{}", text.substr(0, kHead), text.substr(text.size() - kTail));
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
  const std::string_view text(error.what());
  return std::ranges::any_of(kSigns, [&](std::string_view sign) { return text.find(sign) != std::string_view::npos; });
}

std::string reason_of(const std::exception& error) {
  if (const auto* of_torch = dynamic_cast<const c10::Error*>(&error))
    return shortened(of_torch->what_without_backtrace());
  return shortened(error.what());
}

}  // namespace tutti::worker
