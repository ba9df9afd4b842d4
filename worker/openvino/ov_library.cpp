#include "worker/openvino/ov_library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include <tutti/error.hpp>

#include "worker/graph/user_library.hpp"

namespace tutti::worker::ov {
namespace {

const UserLibrary& description() {
  static const UserLibrary library{
      .name = "OpenVINO",
      .variable = kVariable,
      .file = "libopenvino_c.so",
      .places = {".", "libs", "lib", "runtime/lib/intel64", "openvino/libs"},
      .system_names = {"libopenvino_c.so"},
      .hint =
          "install it with 'pip install openvino', and name it: "
          "export TUTTI_OPENVINO=$(python3 -c 'import openvino; print(openvino.__path__[0])')"};
  return library;
}

[[noreturn]] void refuse(const std::string& version, const std::string& detail) {
  throw Error(ErrorKind::failed, fmt::format("OpenVINO {} does not fit Tutti", version), detail,
              "use a version from 2025.1 on: pip install --upgrade openvino");
}

/// What its exceptions say, without the places in its source.
std::string without_places(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const bool place = line.starts_with("Exception from ") || line.starts_with("FrontEnd API failed with ") ||
                       (line.starts_with("Check ") && line.find(" failed at ") != line.npos);
    if (line.empty() || place) continue;
    if (!result.empty()) result += result.ends_with(':') || result.ends_with('.') ? " " : "; ";
    result += line;
  }
  return result;
}

}  // namespace

const Library& Library::get() {
  static const Library library;
  return library;
}

Library::Library() {
  void* const open = open_user_library(description());
  build_ = build_of(open);
  version_ = build_.substr(0, build_.find('-'));
  bind(open);
  check_types();
}

std::string Library::build_of(void* open) {
  const auto get = reinterpret_cast<Status (*)(Version*)>(function_of(open, "ov_get_openvino_version", description()));
  const auto release = reinterpret_cast<void (*)(Version*)>(function_of(open, "ov_version_free", description()));
  Version version;
  if (get(&version) != 0) refuse("of an unknown version", "it does not say its version");
  std::string build = version.build;
  release(&version);
  return build;
}

void Library::bind(void* open) {
  const auto to = [&]<class Function>(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(::dlsym(open, name));
    if (function == nullptr) refuse(version_, fmt::format("it has no {}", name));
  };
  Functions& all = functions_;
  to(all.get_last_err_msg, "ov_get_last_err_msg");
  to(all.free, "ov_free");
  to(all.core_create, "ov_core_create");
  to(all.core_free, "ov_core_free");
  to(all.core_set_property, "ov_core_set_property");
  to(all.core_get_property, "ov_core_get_property");
  to(all.core_read_model, "ov_core_read_model");
  to(all.core_read_model_from_memory_buffer, "ov_core_read_model_from_memory_buffer");
  to(all.model_free, "ov_model_free");
  to(all.core_compile_model, "ov_core_compile_model");
  to(all.compiled_model_free, "ov_compiled_model_free");
  to(all.compiled_model_get_property, "ov_compiled_model_get_property");
  to(all.core_import_model, "ov_core_import_model");
  to(all.compiled_model_export_model, "ov_compiled_model_export_model");
  to(all.compiled_model_inputs_size, "ov_compiled_model_inputs_size");
  to(all.compiled_model_input_by_index, "ov_compiled_model_input_by_index");
  to(all.compiled_model_outputs_size, "ov_compiled_model_outputs_size");
  to(all.compiled_model_output_by_index, "ov_compiled_model_output_by_index");
  to(all.port_get_any_name, "ov_port_get_any_name");
  to(all.port_get_partial_shape, "ov_port_get_partial_shape");
  to(all.partial_shape_free, "ov_partial_shape_free");
  to(all.port_get_element_type, "ov_port_get_element_type");
  to(all.output_const_port_free, "ov_output_const_port_free");
  to(all.compiled_model_create_infer_request, "ov_compiled_model_create_infer_request");
  to(all.infer_request_set_input_tensor_by_index, "ov_infer_request_set_input_tensor_by_index");
  to(all.infer_request_set_output_tensor_by_index, "ov_infer_request_set_output_tensor_by_index");
  to(all.infer_request_get_output_tensor_by_index, "ov_infer_request_get_output_tensor_by_index");
  to(all.infer_request_infer, "ov_infer_request_infer");
  to(all.infer_request_start_async, "ov_infer_request_start_async");
  to(all.infer_request_wait, "ov_infer_request_wait");
  to(all.infer_request_free, "ov_infer_request_free");
  to(all.tensor_create, "ov_tensor_create");
  to(all.tensor_create_from_host_ptr, "ov_tensor_create_from_host_ptr");
  to(all.tensor_get_shape, "ov_tensor_get_shape");
  to(all.shape_free, "ov_shape_free");
  to(all.tensor_get_element_type, "ov_tensor_get_element_type");
  to(all.tensor_get_byte_size, "ov_tensor_get_byte_size");
  to(all.tensor_data, "ov_tensor_data");
  to(all.tensor_free, "ov_tensor_free");
}

/// A version that numbers the types in another way would take one for the other.
void Library::check_types() const {
  struct Expected {
    ElementType type;
    std::size_t bytes;
  };
  for (const auto& [type, bytes] :
       {Expected{kBoolean, 1}, Expected{kBf16, 2}, Expected{kF16, 2}, Expected{kF32, 4}, Expected{kF64, 8},
        Expected{kI8, 1}, Expected{kI16, 2}, Expected{kI32, 4}, Expected{kI64, 8}, Expected{kU8, 1}, Expected{kU16, 2},
        Expected{kU32, 4}, Expected{kU64, 8}}) {
    std::int64_t one = 1;
    Handle tensor = nullptr;
    std::size_t found = 0;
    if (functions_.tensor_create(type, {1, &one}, &tensor) == 0) functions_.tensor_get_byte_size(tensor, &found);
    functions_.tensor_free(tensor);
    if (found != bytes) refuse(version_, "it numbers the types of tensors in another way");
  }
}

std::string Library::message_of(Status status) const {
  const char* const text = functions_.get_last_err_msg();
  const std::string message = text == nullptr ? std::string() : without_places(text);
  functions_.free(text);
  return message.empty() ? fmt::format("OpenVINO returned the status {}", status) : message;
}

}  // namespace tutti::worker::ov
