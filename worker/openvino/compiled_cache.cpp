#include "worker/openvino/compiled_cache.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/atomic_file.hpp"
#include "common/build_id.hpp"
#include "common/checksum.hpp"
#include "common/nameless_file.hpp"

namespace tutti::worker::ov {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kForm = "tutti.compiled/1";

std::uint32_t checksum(std::string_view bytes) { return crc32(std::as_bytes(std::span(bytes))); }

/// What precedes the bytes. It has the whole key, so that two of them with one checksum do no harm.
std::string header(std::string_view key, std::string_view bytes) {
  return fmt::format("{}\n{} bytes, crc {:08x}\n{} bytes, crc {:08x}\n{}", kForm, key.size(), checksum(key),
                     bytes.size(), checksum(bytes), key);
}

/// The library writes to paths only, and to no file that others could see half of.
std::string written(const std::function<void(const std::string& path)>& write) {
  const UniqueFd file = memory_file("compiled");
  if (!file) throw std::system_error(errno, std::generic_category(), "no memory for it");
  const std::string path = fmt::format("/proc/self/fd/{}", file.get());
  write(path);
  std::string bytes = read_text(path, "the compiled model");
  if (bytes.empty()) throw std::runtime_error("OpenVINO wrote nothing");
  return bytes;
}

}  // namespace

CompiledCache::CompiledCache(fs::path folder, std::string model)
    : folder_(std::move(folder)), model_(std::move(model)) {}

std::string CompiledCache::key_of(std::string_view dependencies) const {
  return fmt::format("tutti: {}\n{}{}", build_id(), dependencies, model_);
}

fs::path CompiledCache::file_of(std::string_view key) const {
  const auto bytes = std::as_bytes(std::span(key));
  return folder_ / fmt::format("{:08x}{:08x}.compiled", crc32(bytes), crc32(bytes, 1));
}

std::optional<std::string> CompiledCache::kept(std::string_view dependencies) {
  const std::string key = key_of(dependencies);
  const fs::path file = file_of(key);
  std::error_code unknown;
  if (!fs::is_regular_file(file, unknown)) return std::nullopt;
  try {
    std::string content = read_text(file, "a compiled model");
    // The lengths in front of the key are not known yet, but its end is that of everything before the bytes.
    const std::size_t begin = content.find(key);
    if (begin != content.npos) {
      const std::size_t end = begin + key.size();
      const std::string_view bytes = std::string_view(content).substr(end);
      if (content.compare(0, end, header(key, bytes)) == 0) {
        content.erase(0, end);
        return content;
      }
    }
    notes_.push_back(fmt::format("its compiled model '{}' is damaged, and is made again", file.string()));
  } catch (const std::exception& error) {
    notes_.push_back(fmt::format("its compiled model cannot be used: {}", error.what()));
  }
  return std::nullopt;
}

void CompiledCache::keep(std::string_view dependencies, const std::function<void(const std::string& path)>& write) {
  try {
    const std::string bytes = written(write);
    const std::string key = key_of(dependencies);
    fs::create_directories(folder_);
    AtomicFile file(file_of(key));
    file.write(header(key, bytes));
    file.write(bytes);
    file.commit();
  } catch (const std::exception& error) {
    notes_.push_back(fmt::format("its compiled model cannot be kept in '{}': {}", folder_.string(), error.what()));
  }
}

}  // namespace tutti::worker::ov
