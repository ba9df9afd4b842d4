// Members of kind `onnx`, in this process: the backend of tests/graph, and what is particular to ONNX Runtime.
#include "worker/onnx/onnx_model.hpp"

#include <doctest/doctest.h>

#include "tests/graph/graph_backend.hpp"
#include "worker/onnx/ort_library.hpp"

namespace tutti::test {

const GraphBackend kBackend{"ONNX Runtime", [] { worker::ort::Library::get(); },
                            [](const std::string& path, const std::vector<std::string>& entries) {
                              return ModelKind(OnnxFileModel{path, entries});
                            },
                            worker::make_onnx_model, ComputedBy::onnxruntime};

namespace {

TEST_CASE("an output that is a sequence is refused") {
  if (skipped()) return;
  CHECK(contains(refusal(request_for("sequence")).message(), "outputs something that is no tensor"));
}

TEST_CASE("an opset that ONNX Runtime does not know is named") {
  if (skipped()) return;
  CHECK(contains(refusal(request_for("future_opset")).detail(), "999"));
}

}  // namespace
}  // namespace tutti::test
