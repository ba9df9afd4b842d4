// Reading of all bytes of a safetensors file.
#include <algorithm>
#include <tutti/error.hpp>

#include "merge/safetensors_header.hpp"

namespace tutti::merge {

Safetensors Safetensors::read(const std::filesystem::path& path) { return read(FileReader(path)); }

Safetensors Safetensors::read(int fd, const std::string& name) { return read(FileReader(fd, name, name)); }

Safetensors Safetensors::read(const FileReader& reader) {
  Safetensors result;
  result.file_ = reader.name();
  Header header = read_header(reader);
  for (auto& [name, entry] : header.entries) {
    result.names_.push_back(name);
    result.entries_.emplace(name, Entry{entry.dtype, std::move(entry.shape), static_cast<std::size_t>(entry.begin),
                                        static_cast<std::size_t>(entry.end)});
  }
  result.metadata_ = std::move(header.metadata);
  result.data_.resize(static_cast<std::size_t>(header.data_bytes));
  reader.read(header.data_begin, result.data_);
  return result;
}

bool Safetensors::contains(std::string_view name) const { return entries_.contains(name); }

TensorView Safetensors::tensor(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) refuse_unknown_tensor(file_, name, names_);
  const Entry& entry = found->second;
  return {found->first, entry.dtype, entry.shape, std::span(data_).subspan(entry.begin, entry.end - entry.begin)};
}

}  // namespace tutti::merge
