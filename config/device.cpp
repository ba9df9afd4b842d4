#include "config/device.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "config/reader.hpp"

namespace tutti::config {
namespace {

[[noreturn]] void refuse(std::string message) { throw Error(ErrorKind::usage, std::move(message)); }

/// A whole number below `limit`, digits only.
std::optional<int> number_below(std::string_view text, int limit) {
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool all_digits = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  if (!all_digits || code != std::errc() || end != text.data() + text.size() || value >= limit) return std::nullopt;
  return value;
}

/// "3" or "0-3".
void add_cores(std::string_view range, std::string_view whole, std::vector<int>& cores) {
  const std::size_t dash = range.find('-');
  const auto first = number_below(range.substr(0, dash), kMaxCores);
  const auto last = dash == std::string_view::npos ? first : number_below(range.substr(dash + 1), kMaxCores);
  if (!first || !last || *last < *first)
    refuse(fmt::format("'{}' is not a core set: '{}' is neither a core below {} nor a range like 0-3", whole, range,
                       kMaxCores));
  for (int core = *first; core <= *last; ++core) cores.push_back(core);
}

Device parse_cpu(std::string_view list, std::string_view whole) {
  CpuDevice device;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    add_cores(list.substr(begin, end - begin), whole, device.cores);
    begin = end + 1;
  }
  std::sort(device.cores.begin(), device.cores.end());
  device.cores.erase(std::unique(device.cores.begin(), device.cores.end()), device.cores.end());
  return device;
}

bool is_uuid(std::string_view text) {
  if (!text.starts_with("GPU-") && !text.starts_with("MIG-")) return false;
  const auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '/';
  };
  return text.size() > 4 && std::all_of(text.begin(), text.end(), allowed);
}

Device parse_cuda(std::string_view which, std::string_view whole) {
  if (const auto index = number_below(which, std::numeric_limits<int>::max()); index) return CudaDevice{*index, {}};
  if (is_uuid(which)) return CudaDevice{-1, std::string(which)};
  refuse(fmt::format("'{}' is not a CUDA device; write cuda:0, cuda:GPU-<uuid> or cuda:MIG-<uuid>", whole));
}

[[noreturn]] void refuse_kind(std::string_view kind, std::string_view text) {
  if (kind == "tpu") refuse(fmt::format("'{}' cannot be used: LibTorch has no such device; use cpu or cuda", text));
  std::string lower(kind);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const std::string known[] = {"cpu", "cuda", "null", "auto"};
  refuse(fmt::format("unknown device '{}'; write cpu, cpu:0-3, cuda:0, cuda:GPU-<uuid> or null{}", text,
                     lower == "gpu" || lower == "nvidia" ? "; did you mean 'cuda'?" : did_you_mean(lower, known)));
}

std::string cores_text(const std::vector<int>& cores) {
  std::string text;
  for (std::size_t i = 0; i < cores.size(); ++i) {
    std::size_t last = i;
    while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? ":" : ",", cores[i]);
    if (last > i) text += fmt::format("-{}", cores[last]);
    i = last;
  }
  return text;
}

}  // namespace

Device parse_device(std::string_view text) {
  if (text == "null" || text == "auto") return AutoDevice{};
  if (text == "-1") return CpuDevice{};
  if (number_below(text, std::numeric_limits<int>::max())) return parse_cuda(text, text);
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  if (kind != "cpu" && kind != "cuda") refuse_kind(kind, text);
  if (colon == std::string_view::npos) return kind == "cpu" ? Device(CpuDevice{}) : Device(CudaDevice{0, {}});
  const std::string_view rest = text.substr(colon + 1);
  return kind == "cpu" ? parse_cpu(rest, text) : parse_cuda(rest, text);
}

}  // namespace tutti::config

namespace tutti {

std::string to_text(const Device& device) {
  if (const auto* cpu = std::get_if<CpuDevice>(&device)) return "cpu" + config::cores_text(cpu->cores);
  if (const auto* cuda = std::get_if<CudaDevice>(&device))
    return cuda->uuid.empty() ? fmt::format("cuda:{}", cuda->index) : "cuda:" + cuda->uuid;
  return "null";
}

}  // namespace tutti
