#include "worker/onnx/onnx_model.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <tutti/error.hpp>

#include "common/lfs_pointer.hpp"
#include "worker/graph/graph_model.hpp"
#include "worker/graph/network_graph.hpp"
#include "worker/onnx/network_onnx.hpp"
#include "worker/onnx/onnx_session.hpp"
#include "worker/onnx/ort_library.hpp"

namespace tutti::worker {
namespace {

/// A network of Tutti with `backend: onnxruntime`.
std::unique_ptr<Model> make_network(const MemberRequest& request) {
  const NetworkGraph network = network_graph(request);
  std::vector<ort::External> externals;
  for (const NetworkTensor& tensor : network.weights)
    externals.push_back({tensor.name, tensor.sizes, network.values_of(tensor)});
  const std::string kind(kind_name(request.model));
  const ort::Library& library = ort::Library::get();
  auto session = explained(ErrorKind::failed, fmt::format("ONNX Runtime {} cannot load a {}", library.version(), kind),
                           "install a newer onnxruntime, or use 'backend: torch'",
                           [&] { return ort::load_session_of(onnx_of(network), externals, request.threads); });
  return make_graph_model(request, {.path = kind, .parameters = network.parameters}, std::move(session));
}

}  // namespace

std::unique_ptr<Model> make_onnx_model(const MemberRequest& request) {
  const bool of_tutti = backend_of(request.model) != nullptr;
  if (request.cuda)
    throw Error(ErrorKind::usage, why_only_on_cpu(request.model), {},
                of_tutti ? "assign the member to cpu, or use 'backend: torch'" : "assign the member to cpu");
  if (of_tutti) return make_network(request);
  const auto& model = std::get<OnnxFileModel>(request.model);
  check_model_file(model.path);
  for (const std::filesystem::path& file : Description<OnnxFileModel>::more_files(model))
    refuse_lfs_pointer(file);
  const ort::Library& library = ort::Library::get();
  auto session = explained(ErrorKind::usage, fmt::format("ONNX Runtime {} cannot load '{}'", library.version(), model.path),
                           "if an operator or an opset is not known, install a newer onnxruntime; if a file is missing, it "
                           "holds the weights: it belongs into the folder of the model",
                           [&] { return ort::load_session(model.path, request.threads); });
  return make_graph_model(request, {model.path, model.entries.empty() ? "" : model.entries.front()}, std::move(session));
}

}  // namespace tutti::worker
