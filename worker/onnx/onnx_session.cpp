#include "worker/onnx/onnx_session.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/values.hpp"

namespace tutti::worker::ort {
namespace {

constexpr std::array kTypes{std::pair{kFloat, Dtype::float32},     std::pair{kFloat16, Dtype::float16},
                            std::pair{kBfloat16, Dtype::bfloat16}, std::pair{kUint8, Dtype::uint8},
                            std::pair{kInt32, Dtype::int32},       std::pair{kInt64, Dtype::int64},
                            std::pair{kBool, Dtype::boolean}};

/// One per process: the library wants it so, and it lives as long.
Handle environment() {
  static const Handle made = Library::get().make<CreateEnv>(kLogFatal, "tutti");
  return made;
}

Session load(const Library& library, const std::string& path, std::uint32_t threads) {
  const Owned<ReleaseSessionOptions> options(library.make<CreateSessionOptions>());
  library.call<SetSessionExecutionMode>(options.get(), kSequential);
  library.call<SetSessionGraphOptimizationLevel>(options.get(), kOptimizeAll);
  library.call<SetIntraOpNumThreads>(options.get(), static_cast<int>(threads));
  library.call<SetInterOpNumThreads>(options.get(), 1);
  // The cores belong to other members, too.
  library.call<AddSessionConfigEntry>(options.get(), "session.intra_op.allow_spinning", "0");
  return Session(library.make<CreateSession>(environment(), path.c_str(), options.get()));
}

std::vector<std::int64_t> sizes_in(const Library& library, Handle info) {
  std::size_t count = 0;
  library.call<GetDimensionsCount>(info, &count);
  std::vector<std::int64_t> sizes(count);
  library.call<GetDimensions>(info, sizes.data(), count);
  return sizes;
}

int type_in(const Library& library, Handle info) {
  int type = 0;
  library.call<GetTensorElementType>(info, &type);
  return type;
}

}  // namespace

int element_type(Dtype dtype) {
  for (const auto& [type, known] : kTypes)
    if (known == dtype) return type;
  return 0;
}

std::string type_text(int type) {
  if (type == 0) return "no tensor";
  if (type == kDouble) return "float64";
  for (const auto& [known, dtype] : kTypes)
    if (known == type) return std::string(to_name(dtype));
  return fmt::format("type {}", type);
}

std::string text_of(const Port& port) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : port.sizes) sizes.push_back(size < 0 ? "?" : std::to_string(size));
  return fmt::format("{} [{}]", type_text(port.type), fmt::join(sizes, ", "));
}

LoadedSession::LoadedSession(const std::string& path, std::uint32_t threads)
    : memory_(library_.make<CreateCpuMemoryInfo>(kDeviceAllocator, kDefaultMemory)),
      session_(load(library_, path, threads)),
      inputs_(ports(true)),
      outputs_(ports(false)) {
  for (const Port& input : inputs_) input_names_.push_back(input.name.c_str());
}

std::vector<Port> LoadedSession::ports(bool of_inputs) const {
  const Handle allocator = library_.make<GetAllocatorWithDefaultOptions>();
  std::size_t count = 0;
  if (of_inputs)
    library_.call<SessionGetInputCount>(session_.get(), &count);
  else
    library_.call<SessionGetOutputCount>(session_.get(), &count);
  std::vector<Port> ports;
  for (std::size_t i = 0; i < count; ++i) {
    char* name = nullptr;
    if (of_inputs)
      library_.call<SessionGetInputName>(session_.get(), i, allocator, &name);
    else
      library_.call<SessionGetOutputName>(session_.get(), i, allocator, &name);
    Port port{name, 0, {}};
    library_.call<AllocatorFree>(allocator, name);
    const Owned<ReleaseTypeInfo> info(of_inputs ? library_.make<SessionGetInputTypeInfo>(session_.get(), i)
                                                : library_.make<SessionGetOutputTypeInfo>(session_.get(), i));
    if (const Handle tensor = library_.make<CastTypeInfoToTensorInfo>(info.get())) {
      port.type = type_in(library_, tensor);
      port.sizes = sizes_in(library_, tensor);
    }
    ports.push_back(std::move(port));
  }
  return ports;
}

Value LoadedSession::tensor(const void* data, std::size_t bytes, std::span<const std::int64_t> sizes, int type) const {
  // The library takes no const memory; models do not write to their inputs, and the arena is read-only.
  return Value(library_.make<CreateTensorWithDataAsOrtValue>(memory_.get(), const_cast<void*>(data), bytes,
                                                             sizes.data(), sizes.size(), type));
}

Handle LoadedSession::compute(std::span<const Value> inputs, std::size_t output, Handle into) const {
  std::vector<Handle> values;
  for (const Value& input : inputs) values.push_back(input.get());
  const char* const wanted = outputs_[output].name.c_str();
  library_.call<Run>(session_.get(), nullptr, input_names_.data(), values.data(), values.size(), &wanted, 1, &into);
  return into;
}

LoadedSession::Made LoadedSession::run(std::span<const Value> inputs, std::size_t output) const {
  Made made{Value(compute(inputs, output, nullptr)), nullptr, {}, 0};
  const Owned<ReleaseTensorTypeAndShapeInfo> info(library_.make<GetTensorTypeAndShape>(made.value.get()));
  made.type = type_in(library_, info.get());
  made.sizes = sizes_in(library_, info.get());
  void* data = nullptr;
  library_.call<GetTensorMutableData>(made.value.get(), &data);
  made.data = data;
  return made;
}

void LoadedSession::run_into(std::span<const Value> inputs, std::size_t output, const Value& into) const {
  compute(inputs, output, into.get());
}

}  // namespace tutti::worker::ort
