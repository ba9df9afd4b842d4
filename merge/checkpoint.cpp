// Where the tensors of a checkpoint are: in one file, or in the shards that an index lists.
#include "merge/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <system_error>
#include <tutti/error.hpp>

#include "common/atomic_file.hpp"
#include "common/counted.hpp"
#include "common/json.hpp"
#include "merge/safetensors_header.hpp"

namespace tutti::merge {

struct Checkpoint::Entry {
  TensorForm form;
  std::shared_ptr<const FileReader> file;
  std::uint64_t begin;  ///< in the file
};

namespace {

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

/// Tensor name to the name of the shard that holds it.
using WeightMap = std::map<std::string, std::string, std::less<>>;

[[noreturn]] void refuse_index(const std::filesystem::path& index, std::string detail) {
  throw Error(ErrorKind::usage, fmt::format("{} is not a valid index of weights", index.string()), std::move(detail),
              "save the model again, for example with model.save_pretrained(folder)");
}

/// Shards are in the folder of their index: a name that leads elsewhere is not followed.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\0", 2)) == name.npos;
}

WeightMap read_index(const std::filesystem::path& index) {
  json::value parsed;
  try {
    parsed = parse_json(read_text(index, "the index of weights"), "it");
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::usage) throw;  // the file cannot be read
    refuse_index(index, fmt::format("{}: {}", error.message(), error.detail()));
  }
  const json::object* fields = parsed.if_object();
  const json::value* map = fields == nullptr ? nullptr : fields->if_contains("weight_map");
  if (map == nullptr || !map->is_object()) refuse_index(index, "it has no weight_map, a map of tensors to files");
  WeightMap shards;
  for (const auto& [tensor, file] : map->as_object()) {
    if (!file.is_string() || !is_plain_name(file.as_string()))
      refuse_index(index,
                   fmt::format("the file of tensor {} is {}, and must be the name of a file in the index's folder",
                               std::string_view(tensor), json::serialize(file)));
    shards.emplace(tensor, file.as_string());
  }
  if (shards.empty()) refuse_index(index, "its weight_map is empty");
  return shards;
}

/// The error for a folder without safetensors: what it holds, and how to convert that.
[[noreturn]] void refuse_folder(const std::filesystem::path& folder) {
  static constexpr std::array kPickled{".bin", ".pt", ".pth", ".ckpt"};
  std::vector<std::string> tensors;
  std::vector<std::string> pickled;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const std::string extension = entry.path().extension().string();
    if (extension == ".safetensors") tensors.push_back(name);
    if (std::ranges::find(kPickled, extension) != kPickled.end()) pickled.push_back(name);
  }
  std::ranges::sort(tensors);
  std::ranges::sort(pickled);
  const std::string message = fmt::format("the folder {} has no {} and no {}", folder.string(), kSingle, kIndex);
  if (!tensors.empty())
    throw Error(ErrorKind::usage, message, fmt::format("it has {}", listed(tensors)), "name one of these files");
  if (!pickled.empty())
    throw Error(ErrorKind::usage, message,
                fmt::format("it has {}, which only Python can convert safely", listed(pickled)),
                fmt::format("in Python: safetensors.torch.save_file(torch.load('{}', weights_only=True), '{}'), each "
                            "tensor made contiguous and a copy",
                            (folder / pickled.front()).string(), (folder / kSingle).string()));
  throw Error(ErrorKind::usage, message, {}, "name a folder that model.save_pretrained(folder) wrote, or a file");
}

struct OpenFile {
  std::shared_ptr<const FileReader> reader;
  Header header;
};

OpenFile open_file(const std::filesystem::path& path) {
  auto reader = std::make_shared<const FileReader>(path);
  Header header = read_header(*reader);
  return {std::move(reader), std::move(header)};
}

OpenFile open_shard(const std::filesystem::path& index, const std::string& shard) {
  const std::filesystem::path path = index.parent_path() / shard;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    throw Error(ErrorKind::usage, fmt::format("the shard {} is missing", path.string()),
                fmt::format("{} lists it", index.string()), "download or copy all files of the model again");
  return open_file(path);
}

/// Checks that every tensor is in the shard that the index names, and in no other.
void check_shard(const std::filesystem::path& index, const std::string& shard, const Header& header,
                 const WeightMap& shards) {
  for (const auto& row : header.entries) {
    const auto said = shards.find(row.first);
    if (said == shards.end())
      refuse_index(index, fmt::format("tensor {} is in {}, and the index does not list it", row.first, shard));
    if (said->second != shard)
      refuse_index(index, fmt::format("tensor {} is in {}, and the index says {}", row.first, shard, said->second));
  }
  for (const auto& row : shards)
    if (row.second == shard && !header.entries.contains(row.first))
      refuse_index(index, fmt::format("tensor {} should be in {}, which does not have it", row.first, shard));
}

std::vector<OpenFile> open_shards(const std::filesystem::path& index) {
  const WeightMap shards = read_index(index);
  std::vector<std::string> names;
  for (const auto& row : shards) names.push_back(row.second);
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<OpenFile> files;
  for (const std::string& name : names) {
    files.push_back(open_shard(index, name));
    check_shard(index, name, files.back().header, shards);
  }
  return files;
}

std::vector<OpenFile> open_files(const std::filesystem::path& path) {
  std::error_code ignored;
  std::vector<OpenFile> files;
  if (!std::filesystem::is_directory(path, ignored))
    files.push_back(open_file(path));
  else if (std::filesystem::exists(path / kSingle, ignored))
    files.push_back(open_file(path / kSingle));
  else if (std::filesystem::exists(path / kIndex, ignored))
    files = open_shards(path / kIndex);
  else
    refuse_folder(path);
  return files;
}

}  // namespace

Checkpoint::Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

Checkpoint Checkpoint::open(const std::filesystem::path& path) {
  Checkpoint result;
  result.path_ = path;
  std::vector<OpenFile> files = open_files(path);
  result.metadata_ = std::move(files.front().header.metadata);
  for (const OpenFile& file : files) result.files_.emplace_back(file.reader->name());
  for (OpenFile& file : files)
    for (auto& [name, entry] : file.header.entries) {
      const std::uint64_t bytes = entry.end - entry.begin;
      result.bytes_ += bytes;
      result.entries_.emplace(
          name, Entry{{entry.dtype, std::move(entry.shape), bytes}, file.reader, file.header.data_begin + entry.begin});
    }
  for (const auto& row : result.entries_) result.names_.push_back(row.first);
  return result;
}

bool Checkpoint::contains(std::string_view name) const { return entries_.contains(name); }

const Checkpoint::Entry& Checkpoint::entry(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) refuse_unknown_tensor(path_.string(), name, names_);
  return found->second;
}

const TensorForm& Checkpoint::form(std::string_view name) const { return entry(name).form; }

void Checkpoint::read(std::string_view name, std::uint64_t offset, std::span<std::byte> out) const {
  const Entry& found = entry(name);
  if (offset > found.form.bytes || out.size() > found.form.bytes - offset)
    throw Error(
        ErrorKind::failed,
        fmt::format("cannot read bytes {} to {} of tensor {} in {}", offset, offset + out.size(), name, path_.string()),
        fmt::format("it has {}", counted(found.form.bytes, "byte")));
  found.file->read(found.begin + offset, out);
}

}  // namespace tutti::merge
