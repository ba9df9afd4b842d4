#include "worker/torch/aoti_file.hpp"

#include <caffe2/serialize/inline_container.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include <tutti/error.hpp>

#include "common/json.hpp"
#include "common/nameless_file.hpp"
#include "worker/torch/model_file.hpp"
#include "worker/torch/torch_errors.hpp"

namespace tutti::worker {
namespace {

using Reader = caffe2::serialize::PyTorchStreamReader;

constexpr std::string_view kModels = "data/aotinductor/";
constexpr std::size_t kPiece = 1 << 20;
/// Metadata are a few hundred bytes; a source is a few megabytes for the largest models.
constexpr std::size_t kMostText = 64 << 20;
constexpr std::string_view kExport = "export it again on the machine that runs it: python -m tutti.export";

[[noreturn]] void refuse(const std::string& path, std::string_view what, std::string detail, std::string_view hint) {
  throw Error(ErrorKind::usage, fmt::format("'{}' {}", path, what), std::move(detail), std::string(hint));
}

std::string text_of(Reader& reader, const std::string& record) {
  const std::size_t size = reader.getRecordSize(record);
  if (size > kMostText) throw std::runtime_error(fmt::format("{} has {} bytes", record, size));
  std::string text(size, '\0');
  reader.getRecord(record, text.data(), size);
  return text;
}

/// The records of the one model in the package.
std::vector<std::string> records_of_model(Reader& reader, const std::string& path) {
  std::set<std::string> models;
  const std::vector<std::string> all = reader.getAllRecords();
  for (const std::string& record : all)
    if (record.starts_with(kModels)) models.insert(record.substr(0, record.find('/', kModels.size()) + 1));
  if (models.empty())
    refuse(path, "is not an AOTInductor package", "it has no data/aotinductor",
           "make it with python -m tutti.export, or with torch._inductor.aoti_compile_and_package");
  const std::string usual = fmt::format("{}model/", kModels);
  if (models.size() > 1 && !models.contains(usual))
    refuse(path, "holds several models", fmt::format("{}", fmt::join(models, ", ")), "package them one by one");
  const std::string chosen = models.size() > 1 ? usual : *models.begin();
  std::vector<std::string> records;
  std::copy_if(all.begin(), all.end(), std::back_inserter(records),
               [&](const std::string& record) { return record.starts_with(chosen); });
  return records;
}

std::vector<std::string> ending(const std::vector<std::string>& records, std::string_view end) {
  std::vector<std::string> found;
  std::copy_if(records.begin(), records.end(), std::back_inserter(found),
               [&](const std::string& record) { return record.ends_with(end); });
  return found;
}

/// One file for each source, with the same content.
std::map<std::string, std::string> metadata_of(Reader& reader, const std::vector<std::string>& records) {
  std::map<std::string, std::string> metadata;
  for (const std::string& record : ending(records, "_metadata.json")) {
    json::error_code code;
    const json::value parsed = json::parse(text_of(reader, record), code);
    if (code || !parsed.is_object()) throw std::runtime_error(fmt::format("{} is not a JSON object", record));
    for (const auto& [key, value] : parsed.get_object())
      if (value.is_string()) metadata[key] = value.get_string();
  }
  return metadata;
}

std::string value_of(const AotiFile& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  return found == file.metadata.end() ? "" : found->second;
}

std::string flags_of_processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("flags") || line.starts_with("Features")) return line;
  return "";
}

/// "2.11" of "2.11.0": patch versions keep the interface of packages.
std::string_view series_of(std::string_view version) {
  const std::size_t dot = version.find('.');
  return version.substr(0, dot == version.npos ? dot : version.find('.', dot + 1));
}

void check_machine(const AotiFile& file, std::string_view torch_version) {
  const std::string device = value_of(file, "AOTI_DEVICE_KEY");
  if (device != "cpu") refuse(file.path, fmt::format("was made for device '{}', not for the CPU", device), {}, kExport);
  utsname system{};
  ::uname(&system);
  const std::string machine = value_of(file, "AOTI_MACHINE");
  const std::string platform = value_of(file, "AOTI_PLATFORM");
  if ((!machine.empty() && machine != system.machine) || (!platform.empty() && platform != "linux"))
    refuse(file.path, fmt::format("was made for {} {}, not for linux {}", platform, machine, system.machine), {},
           kExport);
  const std::string isa = value_of(file, "AOTI_CPU_ISA") + " " + value_of(file, "tutti.isa");
  if (const std::string missing = missing_instructions(isa, flags_of_processor()); !missing.empty())
    refuse(file.path, fmt::format("needs {}, which this processor does not have", missing),
           fmt::format("it was made for '{}'", value_of(file, "AOTI_CPU_ISA")), kExport);
  const std::string made_by = value_of(file, "tutti.torch");
  if (!made_by.empty() && series_of(made_by) != series_of(torch_version))
    refuse(file.path, fmt::format("was made by torch {}, and this is torch {}", made_by, torch_version), {}, kExport);
}

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  return number;
}

/// The number after `words` in the check of dimension `dimension` that begins with `check`.
std::optional<std::int64_t> checked(std::string_view source, std::string_view check, int dimension,
                                    std::string_view words) {
  const std::size_t begin = source.find(fmt::format("input_handles[0]: {} at {}, ", check, dimension));
  if (begin == source.npos) return std::nullopt;
  constexpr std::size_t kReach = 300;  // of one check
  const std::string_view near = source.substr(begin, kReach);
  const std::size_t at = near.find(words);
  return at == near.npos ? std::nullopt : number_in(near.substr(at + words.size()));
}

/// The exporter's metadata take precedence; a fixed batch is the same in both.
AotiInput input_of(const AotiFile& file, const std::string& source) {
  const std::optional<AotiInput> found = input_of_source(source);
  AotiInput input = found.value_or(AotiInput{});
  const std::string batch = value_of(file, "tutti.batch");
  if (batch.empty() && !found)
    refuse(file.path, "does not say which batch sizes it takes", "with any other size its output would be wrong",
           "export it with python -m tutti.export, or with the metadata 'tutti.batch': \"dynamic\" or a number");
  if (batch.empty()) return input;
  if (batch == "dynamic") {
    if (const auto most = number_in(value_of(file, "tutti.max_batch")); most && *most >= 1)
      input.most = std::min(input.most, *most);
    return input;
  }
  const auto fixed = number_in(batch);
  if (!fixed || *fixed < 1)
    refuse(file.path, fmt::format("has the metadata 'tutti.batch': '{}'", batch), {},
           "\"dynamic\" or a number of at least 1 is needed");
  input.least = input.most = *fixed;
  return input;
}

void check_library(const std::vector<std::string>& records, const std::string& path) {
  if (!ending(records, "_weights_config.json").empty() || !ending(records, ".blob").empty())
    refuse(path, "keeps its weights outside its library", {},
           "package it with aot_inductor.package_constants_in_so, as is the default");
  if (ending(records, ".so").size() != 1)
    refuse(path, "has no library to load", fmt::format("{} of its files end in .so", ending(records, ".so").size()),
           "package it with aot_inductor.package_cpp_only off, as is the default");
}

UniqueFd unpacked(Reader& reader, const std::string& record) {
  UniqueFd fd = memory_file("aoti", Executable::yes);
  if (!fd) throw Error(ErrorKind::failed, "memory for a package could not be allocated", std::strerror(errno));
  const std::size_t size = reader.getRecordSize(record);
  auto pieces = reader.createChunkReaderIter(record, size, kPiece);
  std::vector<char> piece(kPiece);
  for (std::size_t done = 0; done < size;) {
    const std::size_t bytes = pieces.next(piece.data());
    if (bytes == 0) throw std::runtime_error("the file is cut short");
    for (std::size_t written = 0; written < bytes;) {
      const ssize_t more = ::write(fd.get(), piece.data() + written, bytes - written);
      if (more < 0 && errno != EINTR)
        throw Error(ErrorKind::failed, "could not allocate memory for a package", std::strerror(errno));
      if (more > 0) written += static_cast<std::size_t>(more);
    }
    done += bytes;
  }
  return fd;
}

}  // namespace

std::string missing_instructions(std::string_view isa, std::string_view flags) {
  struct Row {
    std::string_view name;
    std::array<std::string_view, 4> flags;
  };
  // Names of torch._inductor.cpu_vec_isa, and the corresponding flags of the kernel.
  static constexpr std::array<Row, 9> kRows{{{"AVX2", {"avx2", "fma"}},
                                             {"AVX512", {"avx512f", "avx512bw", "avx512dq", "avx512vl"}},
                                             {"AVX512_VNNI", {"avx512_vnni"}},
                                             {"AVX512_BF16", {"avx512_bf16"}},
                                             {"AMX_TILE", {"amx_tile"}},
                                             {"AMX_FP16", {"amx_fp16"}},
                                             {"ASIMD", {"asimd"}},
                                             {"NEON", {"asimd"}},
                                             {"SVE256", {"sve"}}}};
  std::set<std::string> there;
  std::istringstream words{std::string(flags)};
  for (std::string word; words >> word;) there.insert(word);
  std::vector<std::string> missing;
  std::istringstream names{std::string(isa)};
  for (std::string name; names >> name;) {
    const auto* const row =
        std::find_if(kRows.begin(), kRows.end(), [&](const Row& each) { return each.name == name; });
    if (row == kRows.end() || std::find(missing.begin(), missing.end(), name) != missing.end()) continue;
    if (std::any_of(row->flags.begin(), row->flags.end(),
                    [&](std::string_view flag) { return !flag.empty() && !there.contains(std::string(flag)); }))
      missing.push_back(name);
  }
  return fmt::format("{}", fmt::join(missing, " and "));
}

std::optional<AotiInput> input_of_source(std::string_view source) {
  constexpr std::string_view kFixed = "unmatched dim value";
  constexpr std::string_view kExpected = "expected: ";
  if (source.find("input_handles[0]: unmatched dtype") == source.npos) return std::nullopt;
  AotiInput input;
  input.channels = checked(source, kFixed, 1, kExpected);
  input.height = checked(source, kFixed, 2, kExpected);
  input.width = checked(source, kFixed, 3, kExpected);
  if (const auto batch = checked(source, kFixed, 0, kExpected)) {
    input.least = input.most = *batch;
    return input;
  }
  if (const auto least = checked(source, "dim value is too small", 0, "expected it to be >= "))
    input.least = std::max<std::int64_t>(1, *least);
  if (const auto most = checked(source, "dim value is too large", 0, "expected to be <= ")) input.most = *most;
  return input;
}

AotiFile read_aoti_file(const std::filesystem::path& path, std::string_view torch_version) {
  AotiFile file;
  file.path = path.string();
  check_model_file(path, ModelFileKind::aoti);
  return explained(ErrorKind::usage, fmt::format("cannot read '{}' as an AOTInductor package", file.path),
                   "make it with python -m tutti.export, or with torch._inductor.aoti_compile_and_package", [&] {
                     Reader reader(file.path);
                     const std::vector<std::string> records = records_of_model(reader, file.path);
                     file.metadata = metadata_of(reader, records);
                     check_machine(file, torch_version);
                     check_library(records, file.path);
                     std::string source;
                     for (const std::string& record : ending(records, ".cpp")) source += text_of(reader, record);
                     if (source.find("input_handles[1]: unmatched") != source.npos)
                       refuse(file.path, "takes more than one input", {}, "export a module that takes only the images");
                     file.input = input_of(file, source);
                     file.library = unpacked(reader, ending(records, ".so").front());
                     return std::move(file);
                   });
}

}  // namespace tutti::worker
