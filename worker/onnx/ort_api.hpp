// The part of ONNX Runtime's C interface that Tutti uses. The wheels on PyPI hold the library and no header. What the
// library hands out for a version of the interface is a table of functions to which later versions only append, so the
// places of the functions are facts that do not change (ONNX Runtime, "onnxruntime_c_api.h", struct OrtApi). Tutti asks
// for the table of one old version; a test calls every function that is used.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tutti::worker::ort {

/// The version of the interface whose table is asked for: that of ONNX Runtime 1.12 and all later ones.
constexpr std::uint32_t kVersion = 12;

/// What the library keeps to itself.
using Handle = void*;
/// Null: it worked. Otherwise to be released.
using Status = void*;

/// Function::place is that in the table, Function::Type its type.
template <std::size_t Place, class Result, class... Arguments>
struct Function {
  static constexpr std::size_t place = Place;
  using Type = Result (*)(Arguments...);
};

// Texts, errors.
using GetErrorMessage = Function<2, const char*, Status>;
using ReleaseStatus = Function<93, void, Status>;

// The environment, of which a process has one.
using CreateEnv = Function<3, Status, int, const char*, Handle*>;
constexpr int kLogFatal = 4;

// Options.
using CreateSessionOptions = Function<10, Status, Handle*>;
using SetSessionExecutionMode = Function<13, Status, Handle, int>;
constexpr int kSequential = 0;
using SetSessionGraphOptimizationLevel = Function<23, Status, Handle, int>;
constexpr int kOptimizeAll = 99;
using SetIntraOpNumThreads = Function<24, Status, Handle, int>;
using SetInterOpNumThreads = Function<25, Status, Handle, int>;
using AddSessionConfigEntry = Function<130, Status, Handle, const char*, const char*>;
/// Values of constants that the model has elsewhere: names, tensors, and how many. Their memory is not used once a
/// session is made.
using AddExternalInitializers = Function<210, Status, Handle, const char* const*, const Handle*, std::size_t>;
using ReleaseSessionOptions = Function<100, void, Handle>;

// A session: a loaded model.
using CreateSession = Function<7, Status, Handle, const char*, Handle, Handle*>;
/// Of a model in memory, which is not used after the call.
using CreateSessionFromArray =
    Function<8, Status, Handle, const void*, std::size_t, Handle, Handle*>;
using SessionGetInputCount = Function<30, Status, Handle, std::size_t*>;
using SessionGetOutputCount = Function<31, Status, Handle, std::size_t*>;
using SessionGetInputTypeInfo = Function<33, Status, Handle, std::size_t, Handle*>;
using SessionGetOutputTypeInfo = Function<34, Status, Handle, std::size_t, Handle*>;
using SessionGetInputName = Function<36, Status, Handle, std::size_t, Handle, char**>;
using SessionGetOutputName = Function<37, Status, Handle, std::size_t, Handle, char**>;
/// The last argument is read and written: where it holds null, the library makes the tensor.
using Run = Function<9, Status, Handle, Handle, const char* const*, const Handle*, std::size_t, const char* const*,
                     std::size_t, Handle*>;
using ReleaseSession = Function<95, void, Handle>;

// Memory. The default allocator is not released.
using GetAllocatorWithDefaultOptions = Function<78, Status, Handle*>;
using AllocatorFree = Function<76, Status, Handle, void*>;
using CreateCpuMemoryInfo = Function<69, Status, int, int, Handle*>;
constexpr int kDeviceAllocator = 0;
constexpr int kDefaultMemory = 0;
using ReleaseMemoryInfo = Function<94, void, Handle>;

// Types. What CastTypeInfoToTensorInfo makes belongs to its argument; null: not a tensor.
using CastTypeInfoToTensorInfo = Function<55, Status, Handle, Handle*>;
using GetTensorElementType = Function<60, Status, Handle, int*>;
using GetDimensionsCount = Function<61, Status, Handle, std::size_t*>;
using GetDimensions = Function<62, Status, Handle, std::int64_t*, std::size_t>;
using GetTensorTypeAndShape = Function<65, Status, Handle, Handle*>;
using ReleaseTypeInfo = Function<98, void, Handle>;
using ReleaseTensorTypeAndShapeInfo = Function<99, void, Handle>;

// Tensors. The memory stays that of the caller.
using CreateTensorWithDataAsOrtValue =
    Function<49, Status, Handle, void*, std::size_t, const std::int64_t*, std::size_t, int, Handle*>;
using GetTensorMutableData = Function<51, Status, Handle, void**>;
using ReleaseValue = Function<96, void, Handle>;

/// What CastTypeInfoToTensorInfo and GetTensorElementType call the types.
enum ElementType : int {
  kFloat = 1,
  kUint8 = 2,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kBfloat16 = 16,
};

/// What OrtGetApiBase, the only function that the library exports, returns.
struct Base {
  const Handle* (*table)(std::uint32_t version);  ///< null: it does not know the version
  const char* (*version)();                       ///< "1.23.0"
};

}  // namespace tutti::worker::ort
