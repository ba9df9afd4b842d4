#include "worker/onnx/onnx_session.hpp"

#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "common/values.hpp"
#include "worker/onnx/ort_library.hpp"

namespace tutti::worker::ort {
namespace {

constexpr std::array kTypes{std::pair{kFloat, Dtype::float32},     std::pair{kFloat16, Dtype::float16},
                            std::pair{kBfloat16, Dtype::bfloat16}, std::pair{kUint8, Dtype::uint8},
                            std::pair{kInt32, Dtype::int32},       std::pair{kInt64, Dtype::int64},
                            std::pair{kBool, Dtype::boolean}};

std::string type_text(int type) {
  if (type == kDouble) return "float64";
  for (const auto& [known, dtype] : kTypes)
    if (known == type) return std::string(to_name(dtype));
  return fmt::format("type {}", type);
}

/// One per process: the library wants it so, and it lives as long.
Handle environment() {
  static const Handle made = Library::get().make<CreateEnv>(kLogFatal, "tutti");
  return made;
}

/// A model file, or the bytes of one and the values that are not in it.
struct Stored {
  std::string path{};
  std::string_view bytes{};
  std::span<const External> externals{};
};

/// The library takes no const memory; it does not write to it, and models do not write to their inputs. The arena is
/// read-only.
Value tensor_over(const Library& library, Handle memory, std::span<const std::byte> bytes,
                  std::span<const std::int64_t> sizes, int type) {
  return Value(library.make<CreateTensorWithDataAsOrtValue>(memory,
                                                            static_cast<void*>(const_cast<std::byte*>(bytes.data())),
                                                            bytes.size(), sizes.data(), sizes.size(), type));
}

void add_externals(const Library& library, Handle memory, Handle options, std::span<const External> externals) {
  std::vector<const char*> names;
  std::vector<Value> values;
  std::vector<Handle> handles;
  for (const External& one : externals) {
    names.push_back(one.name.c_str());
    values.push_back(tensor_over(library, memory, std::as_bytes(one.values), one.sizes, kFloat));
    handles.push_back(values.back().get());
  }
  library.call<AddExternalInitializers>(options, names.data(), handles.data(), handles.size());
}

Session load(const Library& library, const Stored& model, Handle memory, std::uint32_t threads) {
  const Owned<ReleaseSessionOptions> options(library.make<CreateSessionOptions>());
  library.call<SetSessionExecutionMode>(options.get(), kSequential);
  library.call<SetSessionGraphOptimizationLevel>(options.get(), kOptimizeAll);
  library.call<SetIntraOpNumThreads>(options.get(), static_cast<int>(threads));
  library.call<SetInterOpNumThreads>(options.get(), 1);
  // The cores belong to other members, too.
  library.call<AddSessionConfigEntry>(options.get(), "session.intra_op.allow_spinning", "0");
  if (!model.externals.empty()) add_externals(library, memory, options.get(), model.externals);
  if (model.path.empty())
    return Session(library.make<CreateSessionFromArray>(environment(), static_cast<const void*>(model.bytes.data()),
                                                        model.bytes.size(), options.get()));
  return Session(library.make<CreateSession>(environment(), model.path.c_str(), options.get()));
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

/// The calls are computed in start().
class OrtSession final : public GraphSession {
 public:
  OrtSession(const Stored& model, std::uint32_t threads)
      : memory_(library_.make<CreateCpuMemoryInfo>(kDeviceAllocator, kDefaultMemory)),
        session_(load(library_, model, memory_.get(), threads)) {
    std::vector<int> output_types;
    inputs_ = ports(true, input_types_);
    outputs_ = ports(false, output_types);
    for (const Port& input : inputs_) input_names_.push_back(input.name.c_str());
  }

  const std::vector<Port>& inputs() const override { return inputs_; }
  const std::vector<Port>& outputs() const override { return outputs_; }

  void start(std::uint32_t, std::span<const Fed> inputs, std::size_t output, const Into* into) override {
    std::vector<Value> values;
    std::vector<Handle> handles;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      values.push_back(
          tensor({static_cast<const std::byte*>(inputs[i].data), inputs[i].bytes}, inputs[i].sizes, input_types_[i]));
      handles.push_back(values.back().get());
    }
    into_ = into != nullptr;
    made_ = into_ ? tensor(std::as_bytes(into->values), into->sizes, kFloat) : Value();
    Handle result = made_.get();
    const char* const wanted = outputs_[output].name.c_str();
    library_.call<Run>(session_.get(), nullptr, input_names_.data(), handles.data(), handles.size(), &wanted, 1,
                       &result);
    if (!into_) made_ = Value(result);
  }

  Made finish(std::uint32_t) override {
    if (into_) return {};
    Made made;
    const Owned<ReleaseTensorTypeAndShapeInfo> info(library_.make<GetTensorTypeAndShape>(made_.get()));
    made.type = type_text(type_in(library_, info.get()));
    made.sizes = sizes_in(library_, info.get());
    void* data = nullptr;
    library_.call<GetTensorMutableData>(made_.get(), &data);
    made.data = data;
    return made;
  }

 private:
  std::vector<Port> ports(bool of_inputs, std::vector<int>& types) const {
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
      Port port{name, {}, {}};
      library_.call<AllocatorFree>(allocator, name);
      const Owned<ReleaseTypeInfo> info(of_inputs ? library_.make<SessionGetInputTypeInfo>(session_.get(), i)
                                                  : library_.make<SessionGetOutputTypeInfo>(session_.get(), i));
      const Handle tensor = library_.make<CastTypeInfoToTensorInfo>(info.get());
      types.push_back(tensor == nullptr ? 0 : type_in(library_, tensor));
      if (tensor != nullptr) {
        port.type = type_text(types.back());
        port.sizes = sizes_in(library_, tensor);
      }
      ports.push_back(std::move(port));
    }
    return ports;
  }

  Value tensor(std::span<const std::byte> bytes, std::span<const std::int64_t> sizes, int type) const {
    return tensor_over(library_, memory_.get(), bytes, sizes, type);
  }

  const Library& library_ = Library::get();
  Owned<ReleaseMemoryInfo> memory_;
  Session session_;
  std::vector<Port> inputs_;
  std::vector<int> input_types_;
  std::vector<Port> outputs_;
  std::vector<const char*> input_names_;  ///< of inputs_, as each call takes them
  Value made_;
  bool into_ = false;  ///< what was computed last is in memory of the caller
};

}  // namespace

std::unique_ptr<GraphSession> load_session(const std::string& path, std::uint32_t threads) {
  return std::make_unique<OrtSession>(Stored{.path = path}, threads);
}

std::unique_ptr<GraphSession> load_session_of(std::string_view onnx, std::span<const External> externals,
                                              std::uint32_t threads) {
  return std::make_unique<OrtSession>(Stored{.bytes = onnx, .externals = externals}, threads);
}

}  // namespace tutti::worker::ort
