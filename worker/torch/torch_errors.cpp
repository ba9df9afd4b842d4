#include "worker/torch/torch_errors.hpp"

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

// The allocator of the CPU throws a plain c10::Error: only its text tells (c10/core/impl/alloc_cpu.cpp).
bool is_out_of_memory(const std::exception& error) {
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
         dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         std::string_view(error.what()).find("DefaultCPUAllocator: can't allocate memory") != std::string_view::npos;
}

std::string reason_of(const std::exception& error) {
  if (const auto* of_torch = dynamic_cast<const c10::Error*>(&error))
    return shortened(of_torch->what_without_backtrace());
  return shortened(error.what());
}

}  // namespace tutti::worker
