#include "worker/openvino/openvino_model.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <tutti/error.hpp>

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
  throw Error(ErrorKind::usage, fmt::format("{} cannot share {} evenly", counted(streams, "stream"),
                                            counted(request.threads, "thread")),
              "each stream computes with as many threads as the others",
              "set 'threads' of the ensemble to a multiple of 'streams' of the model");
}

/// A network of Tutti with `backend: openvino`.
std::unique_ptr<Model> make_network(const MemberRequest& request) {
  NetworkGraph network = network_graph(request);
  const std::uint64_t parameters = network.values.size();
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
  if (request.cuda && of_tutti)
    throw Error(ErrorKind::usage, "members with 'backend: openvino' run on the CPU only", {},
                "assign the member to cpu, or use 'backend: torch'");
  if (of_tutti) return make_network(request);
  if (request.cuda)
    throw Error(ErrorKind::usage, "members of kind 'openvino' run on the CPU only", {}, "assign the member to cpu");
  const auto& model = std::get<OpenVinoModel>(request.model);
  check_model_file(model.path);
  for (const fs::path& file : files_of(request.model, {})) refuse_lfs_pointer(file);
  const ov::Library& library = ov::Library::get();
  check_streams(request, model.streams);
  const auto cannot = [&](std::string_view what) {
    return fmt::format("OpenVINO {} cannot {} '{}'", library.version(), what, model.path);
  };
  auto session = explained(ErrorKind::usage, cannot("load"), loading_hint(model.path), [&] {
    try {
      return ov::load_session(model.path, request.threads, model.streams);
    } catch (const ov::CannotCompute& error) {
      throw Error(ErrorKind::usage, cannot("compute"), error.what(),
                  "if it is about sizes, convert the model again with the sizes of its inputs; another kind of member "
                  "may compute what OpenVINO does not");
    }
  });
  return make_graph_model(request,
                          {.path = model.path,
                           .output = model.entries.empty() ? "" : model.entries.front(),
                           .channels = channels_of(model.path)},
                          std::move(session));
}

}  // namespace tutti::worker
