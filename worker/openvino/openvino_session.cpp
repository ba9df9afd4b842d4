#include "worker/openvino/openvino_session.hpp"

#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "common/values.hpp"
#include "worker/openvino/ov_library.hpp"

namespace tutti::worker::ov {
namespace {

constexpr std::array kTypes{std::pair{kF32, Dtype::float32},    std::pair{kF16, Dtype::float16},
                            std::pair{kBf16, Dtype::bfloat16},  std::pair{kU8, Dtype::uint8},
                            std::pair{kI32, Dtype::int32},      std::pair{kI64, Dtype::int64},
                            std::pair{kBoolean, Dtype::boolean}};

std::string type_text(int type) {
  for (const auto& [known, dtype] : kTypes)
    if (known == type) return std::string(to_name(dtype));
  for (const auto& [known, name] : {std::pair{kF64, "float64"}, std::pair{kI8, "int8"}, std::pair{kI16, "int16"},
                                    std::pair{kU16, "uint16"}, std::pair{kU32, "uint32"}, std::pair{kU64, "uint64"}})
    if (known == type) return name;
  return fmt::format("type {}", type);
}

/// One per process, which lives as long: its threads could still run.
Handle core(const Library& library) {
  static const Handle made = [&] {
    const Handle core = library.make(library.functions().core_create);
    // A file that another program cuts off would end the process in the middle of a batch.
    library.check(library.functions().core_set_property(core, nullptr, "ENABLE_MMAP", "NO"));
    return core;
  }();
  return made;
}

Model read(const Library& library, const std::string& path) {
  return Model(library.make(library.functions().core_read_model, core(library), path.c_str(),
                            static_cast<const char*>(nullptr)));
}

/// The library takes no const memory; it does not write to it, and models do not write to their inputs. The arena is
/// read-only.
Tensor tensor_over(const Library& library, const void* data, std::span<const std::int64_t> sizes, int type) {
  const Shape shape{static_cast<std::int64_t>(sizes.size()), const_cast<std::int64_t*>(sizes.data())};
  return Tensor(library.make(library.functions().tensor_create_from_host_ptr, type, shape, const_cast<void*>(data)));
}

Model read_text(const Library& library, std::string_view xml, const std::vector<float>& constants) {
  const std::array<std::int64_t, 1> bytes{static_cast<std::int64_t>(constants.size() * sizeof(float))};
  const Tensor tensor = tensor_over(library, constants.data(), bytes, kU8);
  return Model(library.make(library.functions().core_read_model_from_memory_buffer, core(library), xml.data(),
                            xml.size(), tensor.get()));
}

constexpr const char* kDevice = "CPU";
constexpr const char* kPrecision = "INFERENCE_PRECISION_HINT";

/// What a model is compiled with. The cores belong to other members, too; and the same bits come out on every processor
/// that has the same kernels, so float32 stays float32.
std::array<std::pair<const char*, std::string>, 5> properties_of(const Settings& settings) {
  return {{{"INFERENCE_NUM_THREADS", std::to_string(settings.threads)},
           {"NUM_STREAMS", std::to_string(settings.streams)},
           {"ENABLE_CPU_PINNING", "NO"},
           {kPrecision, std::string(to_name(settings.precision))},
           {"EXECUTION_MODE_HINT", "ACCURACY"}}};
}

/// They are given to the core, because a model that is imported takes them from there. One thread at a time loads
/// models.
void set_properties(const Library& library, const Settings& settings) {
  for (const auto& [key, value] : properties_of(settings))
    library.check(library.functions().core_set_property(core(library), kDevice, key, value.c_str()));
}

/// With the properties of the core.
Compiled compile(const Library& library, const Model& model) {
  Handle compiled = nullptr;
  const Status status = library.functions().core_compile_model(core(library), model.get(), kDevice, 0, &compiled);
  if (status != 0) throw CannotCompute(library.message_of(status));
  return Compiled(compiled);
}

/// The library takes float32, or another type, for one that the processor lacks.
void check_precision(const Library& library, const Compiled& compiled, Precision asked) {
  const std::string found = library.text(library.functions().compiled_model_get_property, compiled.get(), kPrecision);
  if (found != to_name(asked)) throw OtherPrecision(fmt::format("it would compute in {}", found));
}

// ---- the cache -----------------------------------------------------------------------------------------------------

/// What a compiled model depends on besides the model.
std::string dependencies(const Library& library, const Settings& settings) {
  std::string lines = fmt::format("openvino: {}\n", library.build());
  for (const char* const key : {"FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES"})
    lines +=
        fmt::format("{}: {}\n", key, library.text(library.functions().core_get_property, core(library), kDevice, key));
  for (const char* const name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"})
    if (const char* const value = std::getenv(name); value != nullptr) lines += fmt::format("{}: {}\n", name, value);
  for (const auto& [key, value] : properties_of(settings)) lines += fmt::format("{}: {}\n", key, value);
  return lines;
}

/// A compiled model, and the memory that it may still read its constants from.
struct Held {
  std::unique_ptr<const std::string> bytes{};
  Compiled compiled{};
};

/// Nothing if there is none, or the library does not take it.
std::optional<Held> imported(const Library& library, CompiledCache& cache, const std::string& key) {
  std::optional<std::string> kept = cache.kept(key);
  if (!kept) return std::nullopt;
  auto bytes = std::make_unique<const std::string>(std::move(*kept));
  Handle compiled = nullptr;
  const Status status =
      library.functions().core_import_model(core(library), bytes->data(), bytes->size(), kDevice, &compiled);
  if (status != 0) return std::nullopt;
  return Held{std::move(bytes), Compiled(compiled)};
}

void keep(const Library& library, CompiledCache& cache, const std::string& key, const Compiled& compiled) {
  cache.keep(key, [&](const std::string& path) {
    library.check(library.functions().compiled_model_export_model(compiled.get(), path.c_str()));
  });
}

Held compiled_model(const Library& library, const std::string& path, const Settings& settings, CompiledCache* cache) {
  set_properties(library, settings);
  const std::string key = cache == nullptr ? std::string() : dependencies(library, settings);
  if (cache != nullptr)
    if (std::optional<Held> kept = imported(library, *cache, key)) {
      check_precision(library, kept->compiled, settings.precision);
      return std::move(*kept);
    }
  Compiled compiled = compile(library, read(library, path));
  check_precision(library, compiled, settings.precision);
  if (cache != nullptr) keep(library, *cache, key, compiled);
  return {nullptr, std::move(compiled)};
}

class OpenVinoSession final : public GraphSession {
 public:
  /// `constants`: memory that the model reads them from.
  OpenVinoSession(Held held, std::uint32_t streams, std::vector<float> constants = {})
      : constants_(std::move(constants)),
        bytes_(std::move(held.bytes)),
        compiled_(std::move(held.compiled)),
        inputs_(ports(call_.compiled_model_inputs_size, call_.compiled_model_input_by_index, input_types_)),
        outputs_(ports(call_.compiled_model_outputs_size, call_.compiled_model_output_by_index, output_types_)) {
    lanes_.resize(streams);
    for (Lane& lane : lanes_)
      lane.request = Request(library_.make(call_.compiled_model_create_infer_request, compiled_.get()));
  }

  const std::vector<Port>& inputs() const override { return inputs_; }
  const std::vector<Port>& outputs() const override { return outputs_; }
  std::uint32_t lanes() const override { return static_cast<std::uint32_t>(lanes_.size()); }

  void start(std::uint32_t lane, std::span<const Fed> inputs, std::size_t output, const Into* into) override {
    Lane& in = lanes_[lane];
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Tensor tensor = tensor_over(library_, inputs[i].data, inputs[i].sizes, input_types_[i]);
      library_.check(call_.infer_request_set_input_tensor_by_index(in.request.get(), i, tensor.get()));
    }
    set_output(in, output, into);
    if (lanes_.size() == 1)
      library_.check(call_.infer_request_infer(in.request.get()));
    else
      library_.check(call_.infer_request_start_async(in.request.get()));
  }

  Made finish(std::uint32_t lane) override {
    const Lane& in = lanes_[lane];
    if (lanes_.size() > 1) library_.check(call_.infer_request_wait(in.request.get()));
    if (in.into) return {};
    Made made;
    const Tensor tensor(library_.make(call_.infer_request_get_output_tensor_by_index, in.request.get(), in.output));
    int type = 0;
    library_.check(call_.tensor_get_element_type(tensor.get(), &type));
    made.type = type_text(type);
    Shape shape;
    library_.check(call_.tensor_get_shape(tensor.get(), &shape));
    made.sizes.assign(shape.sizes, shape.sizes + shape.rank);
    call_.shape_free(&shape);
    void* data = nullptr;
    library_.check(call_.tensor_data(tensor.get(), &data));
    made.data = data;
    return made;
  }

 private:
  /// A call that can be computed next to others.
  struct Lane {
    Request request;
    Tensor own;              ///< the request's memory for the output, once other memory takes its place
    std::size_t output = 0;  ///< of the last call
    bool into = false;       ///< it is in memory of the caller
  };

  std::vector<Port> ports(Status (*count_of)(Handle, std::size_t*), Status (*port_at)(Handle, std::size_t, Handle*),
                          std::vector<int>& types) const {
    std::size_t count = 0;
    library_.check(count_of(compiled_.get(), &count));
    std::vector<Port> ports;
    for (std::size_t i = 0; i < count; ++i) {
      const PortHandle handle(library_.make(port_at, compiled_.get(), i));
      library_.check(call_.port_get_element_type(handle.get(), &types.emplace_back()));
      Port port{name_of(handle, i), type_text(types.back()), {}};
      PartialShape shape;
      library_.check(call_.port_get_partial_shape(handle.get(), &shape));
      const bool known = shape.rank.least == shape.rank.most;  // of outputs; the CPU computes no such inputs
      for (std::int64_t axis = 0; known && axis < shape.rank.least; ++axis)
        port.sizes.push_back(shape.sizes[axis].least == shape.sizes[axis].most ? shape.sizes[axis].least : -1);
      call_.partial_shape_free(&shape);
      ports.push_back(std::move(port));
    }
    return ports;
  }

  /// Its place, if it has no name.
  std::string name_of(const PortHandle& port, std::size_t place) const {
    char* name = nullptr;
    if (call_.port_get_any_name(port.get(), &name) != 0) return std::to_string(place);
    std::string text = name;
    call_.free(name);
    return text;
  }

  void set_output(Lane& in, std::size_t output, const Into* into) const {
    in.output = output;
    if (into != nullptr) {
      if (in.own.get() == nullptr)
        in.own = Tensor(library_.make(call_.infer_request_get_output_tensor_by_index, in.request.get(), output));
      const Tensor tensor = tensor_over(library_, into->values.data(), into->sizes, kF32);
      library_.check(call_.infer_request_set_output_tensor_by_index(in.request.get(), output, tensor.get()));
    } else if (in.into) {
      library_.check(call_.infer_request_set_output_tensor_by_index(in.request.get(), output, in.own.get()));
    }
    in.into = into != nullptr;
  }

  const Library& library_ = Library::get();
  const Functions& call_ = library_.functions();
  const std::vector<float> constants_;
  const std::unique_ptr<const std::string> bytes_;
  Compiled compiled_;
  std::vector<int> input_types_;
  std::vector<int> output_types_;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<Lane> lanes_;
};

}  // namespace

std::unique_ptr<GraphSession> load_session(const std::string& path, const Settings& settings, CompiledCache* cache) {
  return std::make_unique<OpenVinoSession>(compiled_model(Library::get(), path, settings, cache), settings.streams);
}

std::unique_ptr<GraphSession> load_session_of(std::string_view xml, std::vector<float> constants,
                                              std::uint32_t threads) {
  const Library& library = Library::get();
  const Model model = read_text(library, xml, constants);
  set_properties(library, {.threads = threads});
  return std::make_unique<OpenVinoSession>(Held{nullptr, compile(library, model)}, 1, std::move(constants));
}

}  // namespace tutti::worker::ov
