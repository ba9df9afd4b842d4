// libtutti-openvino.so: the backend that the worker opens for members of kind `openvino`. Only the entry.
#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "worker/openvino/openvino_model.hpp"
#include "worker/openvino/ov_library.hpp"

extern "C" TUTTI_API const tutti::worker::Backend* tutti_backend() {
  static const tutti::worker::Backend backend{"openvino", tutti::build_id(), tutti::worker::make_openvino_model,
                                              tutti::worker::ov::Library::get().version().c_str()};
  return &backend;
}
