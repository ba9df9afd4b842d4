// libtutti-onnx.so: the backend that the worker opens for members of kind `onnx`. Only the entry.
#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "worker/onnx/onnx_model.hpp"
#include "worker/onnx/ort_library.hpp"

extern "C" TUTTI_API const tutti::worker::Backend* tutti_backend() {
  static const tutti::worker::Backend backend{"onnxruntime", tutti::build_id(), tutti::worker::make_onnx_model,
                                              tutti::worker::ort::Library::get().version().c_str()};
  return &backend;
}
