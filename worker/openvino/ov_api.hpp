// The part of OpenVINO's C interface that Tutti uses: its functions by their names, and the values that they pass
// (OpenVINO, "openvino/c/*.h"). Declared here, so that building Tutti needs no OpenVINO and one build fits every
// version from 2025.1 on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tutti::worker::ov {

/// What the library keeps to itself.
using Handle = void*;
/// 0: it worked.
using Status = int;

struct Version {
  const char* build = nullptr;  ///< "2026.4.1-22982-e213a147257-releases/2026/4"
  const char* description = nullptr;
};
struct Shape {
  std::int64_t rank = 0;
  std::int64_t* sizes = nullptr;
};
/// A size that is free within bounds; `most` is -1 without one.
struct Dimension {
  std::int64_t least = 0;
  std::int64_t most = 0;
};
struct PartialShape {
  Dimension rank;
  Dimension* sizes = nullptr;
};

/// Numbers of the types of values. They moved by one with 2025.1; Library checks them.
enum ElementType : int {
  kBoolean = 1,
  kBf16 = 2,
  kF16 = 3,
  kF32 = 4,
  kF64 = 5,
  kI8 = 7,
  kI16 = 8,
  kI32 = 9,
  kI64 = 10,
  kU8 = 16,
  kU16 = 17,
  kU32 = 18,
  kU64 = 19,
};

struct Functions {
  const char* (*get_last_err_msg)();  ///< null: there was none; else to be freed
  void (*free)(const char*);

  Status (*core_create)(Handle* core);
  void (*core_free)(Handle core);
  /// A null device: of the library itself. Then pairs of a key and a value.
  Status (*core_set_property)(Handle core, const char* device, ...);
  Status (*core_get_property)(Handle core, const char* device, const char* key, char** value);
  Status (*core_read_model)(Handle core, const char* path, const char* weights, Handle* model);
  /// Of a model in memory. `constants`: a tensor with the bytes of the file of its weights, whose memory the model
  /// uses.
  Status (*core_read_model_from_memory_buffer)(Handle core, const char* bytes, std::size_t count, Handle constants,
                                               Handle* model);
  void (*model_free)(Handle model);
  /// `arguments` counts keys and values, which follow.
  Status (*core_compile_model)(Handle core, Handle model, const char* device, std::size_t arguments, Handle* compiled,
                               ...);
  void (*compiled_model_free)(Handle compiled);
  Status (*compiled_model_get_property)(Handle compiled, const char* key, char** value);
  /// Of what compiled_model_export_model() wrote, with the properties of the core.
  Status (*core_import_model)(Handle core, const char* bytes, std::size_t count, const char* device, Handle* compiled);
  Status (*compiled_model_export_model)(Handle compiled, const char* path);

  Status (*compiled_model_inputs_size)(Handle compiled, std::size_t* count);
  Status (*compiled_model_input_by_index)(Handle compiled, std::size_t index, Handle* port);
  Status (*compiled_model_outputs_size)(Handle compiled, std::size_t* count);
  Status (*compiled_model_output_by_index)(Handle compiled, std::size_t index, Handle* port);
  Status (*port_get_any_name)(Handle port, char** name);
  Status (*port_get_partial_shape)(Handle port, PartialShape* shape);
  void (*partial_shape_free)(PartialShape* shape);
  Status (*port_get_element_type)(Handle port, int* type);
  void (*output_const_port_free)(Handle port);

  Status (*compiled_model_create_infer_request)(Handle compiled, Handle* request);
  Status (*infer_request_set_input_tensor_by_index)(Handle request, std::size_t index, Handle tensor);
  Status (*infer_request_set_output_tensor_by_index)(Handle request, std::size_t index, Handle tensor);
  Status (*infer_request_get_output_tensor_by_index)(Handle request, std::size_t index, Handle* tensor);
  Status (*infer_request_infer)(Handle request);
  Status (*infer_request_start_async)(Handle request);
  Status (*infer_request_wait)(Handle request);
  void (*infer_request_free)(Handle request);

  Status (*tensor_create)(int type, Shape shape, Handle* tensor);
  /// Over memory that stays the caller's.
  Status (*tensor_create_from_host_ptr)(int type, Shape shape, void* memory, Handle* tensor);
  Status (*tensor_get_shape)(Handle tensor, Shape* shape);
  Status (*shape_free)(Shape* shape);
  Status (*tensor_get_element_type)(Handle tensor, int* type);
  Status (*tensor_get_byte_size)(Handle tensor, std::size_t* bytes);
  Status (*tensor_data)(Handle tensor, void** data);
  void (*tensor_free)(Handle tensor);
};

}  // namespace tutti::worker::ov
