#include "worker/torch/model_file.hpp"

#include <caffe2/serialize/inline_container.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>
#include <vector>

#include <tutti/error.hpp>

#include "common/lfs_pointer.hpp"

namespace tutti::worker {
namespace {

using Reader = caffe2::serialize::PyTorchStreamReader;
constexpr std::string_view kMakeMember = "python -m tutti.export model";

std::string first_bytes(const std::filesystem::path& file) {
  std::array<char, 256> bytes{};
  std::ifstream in(file, std::ios::binary);
  in.read(bytes.data(), bytes.size());
  return {bytes.data(), static_cast<std::size_t>(in.gcount())};
}

/// Whether an archive has its directory, which comes last: it may be followed by a comment of 64 KiB.
bool has_end(const std::filesystem::path& file, std::uintmax_t bytes) {
  constexpr std::uintmax_t kMost = 65'557;
  std::string tail(static_cast<std::size_t>(std::min(bytes, kMost)), '\0');
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(bytes - tail.size()));
  in.read(tail.data(), static_cast<std::streamsize>(tail.size()));
  return tail.find("PK\x05\x06") != tail.npos;
}

/// In a pickle a class is named by its module. A state dict names none of torch.nn.
bool names_module(Reader& reader) {
  constexpr std::size_t kMost = 16 << 20;
  constexpr std::string_view kModules = "torch.nn.modules";
  if (reader.getRecordSize("data.pkl") > kMost) return false;
  const auto [bytes, size] = reader.getRecord("data.pkl");
  const std::string_view text(static_cast<const char*>(bytes.get()), size);
  return text.find(kModules) != text.npos;
}

ModelFileKind kind_of_archive(const std::filesystem::path& file) {
  try {
    Reader reader(file.string());
    const std::vector<std::string> records = reader.getAllRecords();
    const auto any = [&](std::string_view part) {
      return std::ranges::any_of(records, [&](const std::string& name) { return name.find(part) != name.npos; });
    };
    if (any("data/aotinductor/")) return ModelFileKind::aoti;
    if (any("constants.pkl")) return ModelFileKind::torchscript;
    if (any("serialized_exported_program") || any("archive_format")) return ModelFileKind::exported;
    if (reader.hasRecord("data.pkl")) return names_module(reader) ? ModelFileKind::module : ModelFileKind::state_dict;
  } catch (const std::exception&) {  // not an archive of PyTorch, or a broken one: its loader says why
  }
  return ModelFileKind::unknown;
}

/// What the file is, and how a member is made of it.
struct Words {
  ModelFileKind kind;
  std::string_view what;
  std::string_view hint;
};
constexpr std::array kWords{
    Words{ModelFileKind::torchscript, "is TorchScript", "set 'kind: torchscript' for this member"},
    Words{ModelFileKind::aoti, "is an AOTInductor package", "set 'kind: aoti' for this member"},
    Words{ModelFileKind::exported, "is a program of torch.export, which is not compiled",
          "compile it: torch._inductor.aoti_compile_and_package(torch.export.load(FILE), package_path=\"m.pt2\")"},
    Words{ModelFileKind::state_dict, "holds weights without a network: it is a state dict of torch.save",
          "write a function that makes the network and loads them, and export it: {} MODULE:FUNCTION --output m.pt"},
    Words{ModelFileKind::module, "is a pickled module of torch.save",
          "export it, if you trust its source: {} FILE --allow-pickle --output m.pt"},
    Words{ModelFileKind::pickle, "is a Python pickle, as pickle, joblib and torch.save before PyTorch 1.6 write",
          "a PyTorch model is exported with {} MODULE:FUNCTION --output m.pt; Tutti cannot run models of scikit-learn"},
    Words{ModelFileKind::safetensors, "holds weights without a network: it is a safetensors file",
          "name it with 'weights', and the network's TorchScript with 'path'; or use kind small-cnn, mlp or clip-vit"},
    Words{ModelFileKind::onnx, "is an ONNX model", "set 'kind: onnx' for this member"},
    Words{ModelFileKind::hdf5, "is an HDF5 file, as Keras writes, which Tutti cannot run",
          "export a PyTorch model: {} MODULE:FUNCTION --output m.pt"},
    Words{ModelFileKind::folder, "is a folder",
          "name the file of the model with 'path'; a folder of Hugging Face is exported with {} FOLDER --output m.pt"},
    Words{ModelFileKind::empty, "is empty", "copy it again, or export it: {} MODULE:FUNCTION --output m.pt"},
    Words{ModelFileKind::cut_off, "is cut off: it begins as an archive and has no end",
          "copy it again, or export it: {} MODULE:FUNCTION --output m.pt"},
    Words{ModelFileKind::other, "is not a model file", "make one of a PyTorch model: {} MODULE:FUNCTION --output m.pt"},
};

}  // namespace

ModelFileKind kind_of_file(const std::filesystem::path& file) {
  std::error_code code;
  if (std::filesystem::is_directory(file, code)) return ModelFileKind::folder;
  const std::uintmax_t size = std::filesystem::file_size(file, code);
  if (!code && size == 0) return ModelFileKind::empty;
  const std::string bytes = first_bytes(file);
  if (code || bytes.empty()) return ModelFileKind::unknown;
  const std::string_view start(bytes);
  if (start.starts_with("PK\x03\x04")) {
    const ModelFileKind kind = kind_of_archive(file);
    return kind == ModelFileKind::unknown && !has_end(file, size) ? ModelFileKind::cut_off : kind;
  }
  if (start.starts_with("\x89HDF\r\n")) return ModelFileKind::hdf5;
  // Protocols 2 to 5; the older one is text, without a signature.
  if (start.size() > 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5) return ModelFileKind::pickle;
  if (start.size() > 10 && start[8] == '{' && start[9] == '"') return ModelFileKind::safetensors;
  // Protobuf has no signature: field 1, the IR version, comes first.
  if (start.starts_with("\x08") && file.extension() == ".onnx") return ModelFileKind::onnx;
  return ModelFileKind::other;
}

void check_model_file(const std::filesystem::path& file, ModelFileKind wanted) {
  if (!std::filesystem::exists(file))
    throw Error(ErrorKind::usage, fmt::format("there is no file '{}'", file.string()), {},
                "correct 'path' of this member");
  refuse_lfs_pointer(file);
  const ModelFileKind found = kind_of_file(file);
  const auto* const words = std::ranges::find(kWords, found, &Words::kind);
  if (found == wanted || words == kWords.end()) return;
  throw Error(ErrorKind::usage, fmt::format("'{}' {}", file.string(), words->what), {},
              fmt::format(fmt::runtime(words->hint), kMakeMember));
}

}  // namespace tutti::worker
