#include "worker/openvino/openvino_model.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/checksum.hpp"
#include "common/counted.hpp"
#include "common/lfs_pointer.hpp"
#include "worker/graph/graph_model.hpp"
#include "worker/graph/network_graph.hpp"
#include "worker/openvino/network_ir.hpp"
#include "worker/openvino/openvino_session.hpp"
#include "worker/openvino/ov_library.hpp"

namespace tutti::worker {
namespace {

namespace fs = std::filesystem;

/// Formats of TensorFlow have the channels last as a rule, but not always.
Channels channels_of(const fs::path& path) {
  const fs::path ending = path.extension();
  std::error_code ignored;
  const bool tensorflow = ending == ".pb" || ending == ".tflite" || fs::is_directory(path, ignored);
  return tensorflow ? Channels::unknown : Channels::first;
}

/// What to do about a file that OpenVINO does not load.
std::string loading_hint(const fs::path& path) {
  if (path.extension() == ".onnx")
    return "an operator that OpenVINO does not know may be known to ONNX Runtime ('kind: onnx'); if a file is "
           "missing, it holds the weights: it belongs into the folder of the model";
  if (path.extension() == ".xml")
    return "the weights are in the file of the same name that ends in .bin: it belongs next to it, as it was written "
           "with it";
  return "OpenVINO reads .onnx, .xml with its .bin, .tflite, .pb, the folder of a SavedModel, and .pdmodel with its "
         ".pdiparams; a newer one may know more operators: pip install --upgrade openvino";
}

void check_streams(const MemberRequest& request, std::uint32_t streams) {
  if (request.threads % streams == 0) return;
  throw Error(ErrorKind::usage,
              fmt::format("{} cannot share {} evenly", counted(streams, "stream"), counted(request.threads, "thread")),
              "each stream computes with as many threads as the others",
              "set 'threads' of the ensemble to a multiple of 'streams' of the model");
}

/// The files of the model, for the cache: their names tell the formats. Throws Error(usage) if one cannot be read.
std::string content_lines(const ModelKind& model) {
  std::string lines;
  for (const fs::path& file : files_of(model, {})) {
    const auto content = content_of(file);
    if (!content)
      throw Error(ErrorKind::usage, fmt::format("could not read '{}'", file.string()), {},
                  "check that it is a file and that this user may read it");
    lines += fmt::format("{}: {} bytes, crc {:08x}\n", file.filename().string(), content->bytes, content->crc);
  }
  return lines;
}

constexpr const char* kPrecisionHint =
    "leave 'precision' out, or run the member on a processor with such instructions: AVX-512 for bf16, AVX-512 FP16 or "
    "AMX "
    "for f16";

/// The model of a file as the member wants it.
struct Loaded {
  std::unique_ptr<GraphSession> session;
  Exact exact{};  ///< unless that is float32
  std::vector<std::string> notes{};
};

Loaded load(const MemberRequest& request, const OpenVinoModel& model) {
  std::optional<ov::CompiledCache> cache;
  if (!model.cache.empty()) cache.emplace(model.cache, content_lines(request.model));
  const auto session = [&](Precision precision) {
    return ov::load_session(model.path, {request.threads, model.streams, precision}, cache ? &*cache : nullptr);
  };
  Loaded loaded{session(model.precision)};
  if (model.precision != Precision::f32)
    loaded.exact = {session(Precision::f32), std::string(to_name(model.precision))};
  if (cache) loaded.notes = cache->notes();
  return loaded;
}

/// The same, with errors for people.
Loaded load_explained(const MemberRequest& request, const OpenVinoModel& model) {
  const auto cannot = [&](std::string_view what) {
    return fmt::format("OpenVINO {} cannot {} '{}'", ov::Library::get().version(), what, model.path);
  };
  const std::string in = fmt::format(" in {}", to_name(model.precision));
  return explained(ErrorKind::usage, cannot("load"), loading_hint(model.path), [&] {
    try {
      return load(request, model);
    } catch (const ov::OtherPrecision& error) {
      throw Error(ErrorKind::usage, cannot("compute") + in + " on this processor", error.what(), kPrecisionHint);
    } catch (const ov::CannotCompute& error) {
      const bool exact = model.precision == Precision::f32;
      throw Error(ErrorKind::usage, cannot("compute") + (exact ? "" : in), error.what(),
                  exact ? "if it is about sizes, convert the model again with the sizes of its inputs; another kind of "
                          "member may compute what OpenVINO does not"
                        : kPrecisionHint);
    }
  });
}

/// A network of Tutti with `backend: openvino`.
std::unique_ptr<Model> make_network(const MemberRequest& request) {
  NetworkGraph network = network_graph(request);
  const std::uint64_t parameters = network.parameters;
  NetworkIr ir = ir_of(std::move(network));
  const std::string kind(kind_name(request.model));
  const ov::Library& library = ov::Library::get();
  auto session = explained(ErrorKind::failed, fmt::format("OpenVINO {} cannot load a {}", library.version(), kind),
                           "install a newer openvino, or use 'backend: torch'",
                           [&] { return ov::load_session_of(ir.xml, std::move(ir.constants), request.threads); });
  return make_graph_model(request, {.path = kind, .parameters = parameters}, std::move(session));
}

}  // namespace

std::unique_ptr<Model> make_openvino_model(const MemberRequest& request) {
  const bool of_tutti = backend_of(request.model) != nullptr;
  if (request.cuda)
    throw Error(ErrorKind::usage, why_only_on_cpu(request.model), {},
                of_tutti ? "assign the member to cpu, or use 'backend: torch'" : "assign the member to cpu");
  if (of_tutti) return make_network(request);
  const auto& model = std::get<OpenVinoModel>(request.model);
  check_model_file(model.path);
  for (const fs::path& file : files_of(request.model, {})) refuse_lfs_pointer(file);
  check_streams(request, model.streams);
  Loaded loaded = load_explained(request, model);
  return make_graph_model(request,
                          {.path = model.path,
                           .output = model.entries.empty() ? "" : model.entries.front(),
                           .channels = channels_of(model.path),
                           .notes = std::move(loaded.notes)},
                          std::move(loaded.session), std::move(loaded.exact));
}

}  // namespace tutti::worker
