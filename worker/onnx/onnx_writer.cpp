#include "worker/onnx/onnx_writer.hpp"

#include <cstddef>
#include <cstring>

namespace tutti::worker {
namespace {

// Numbers of the fields, by message.
enum ModelField : std::uint32_t { kIrVersion = 1, kProducer = 2, kGraph = 7, kOpset = 8 };
enum OpsetField : std::uint32_t { kOpsetVersion = 2 };
enum GraphField : std::uint32_t { kNode = 1, kGraphName = 2, kInitializer = 5, kInput = 11, kOutput = 12 };
enum NodeField : std::uint32_t { kNodeInput = 1, kNodeOutput = 2, kOperation = 4, kAttribute = 5 };
enum AttributeField : std::uint32_t { kAttributeName = 1, kReal = 2, kWhole = 3, kWholes = 8, kAttributeType = 20 };
enum TensorField : std::uint32_t {
  kDims = 1,
  kDataType = 2,
  kTensorName = 8,
  kRawData = 9,
  kExternalData = 13,
  kDataLocation = 14
};
enum EntryField : std::uint32_t { kKey = 1, kEntryValue = 2 };
enum ValueField : std::uint32_t { kValueName = 1, kType = 2 };
enum TypeField : std::uint32_t { kTensorType = 1 };
enum TensorTypeField : std::uint32_t { kElementType = 1, kShape = 2 };
enum ShapeField : std::uint32_t { kDim = 1 };
enum DimField : std::uint32_t { kSize = 1, kFreeName = 2 };

constexpr std::uint64_t kFloat = 1;  // TensorProto.DataType
constexpr std::uint64_t kInt64 = 7;
constexpr std::uint64_t kExternal = 1;  // TensorProto.DataLocation
constexpr std::uint64_t kTypeReal = 1;  // AttributeProto.AttributeType
constexpr std::uint64_t kTypeWhole = 2;
constexpr std::uint64_t kTypeWholes = 7;
constexpr std::uint64_t kIr = 8;  // of ONNX 1.12, which every library that Tutti opens reads
constexpr std::uint64_t kOpsetNumber = 17;

void varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
  out += static_cast<char>(value);
}

void whole(std::string& out, std::uint32_t field, std::uint64_t value) {
  varint(out, field << 3);
  varint(out, value);
}

void bytes(std::string& out, std::uint32_t field, std::string_view value) {
  varint(out, field << 3 | 2);
  varint(out, value.size());
  out += value;
}

/// The bytes of a field of four bytes.
void real(std::string& out, std::uint32_t field, float value) {
  constexpr std::uint32_t kFourBytes = 5;
  varint(out, field << 3 | kFourBytes);
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  out.append(raw, sizeof raw);
}

/// A constant of the graph with its values; both formats are little-endian.
std::string tensor_of(std::string_view name, std::uint64_t type, std::span<const std::int64_t> sizes,
                      std::span<const std::byte> values) {
  std::string tensor;
  for (const std::int64_t size : sizes) whole(tensor, kDims, static_cast<std::uint64_t>(size));
  whole(tensor, kDataType, type);
  bytes(tensor, kTensorName, name);
  bytes(tensor, kRawData, {reinterpret_cast<const char*>(values.data()), values.size()});
  return tensor;
}

/// What an attribute holds; one overload for each type.
struct AttributeValue {
  std::string& attribute;

  void operator()(std::int64_t value) const {
    whole(attribute, kWhole, static_cast<std::uint64_t>(value));
    whole(attribute, kAttributeType, kTypeWhole);
  }
  void operator()(float value) const {
    real(attribute, kReal, value);
    whole(attribute, kAttributeType, kTypeReal);
  }
  void operator()(const std::vector<std::int64_t>& values) const {
    for (const std::int64_t value : values) whole(attribute, kWholes, static_cast<std::uint64_t>(value));
    whole(attribute, kAttributeType, kTypeWholes);
  }
};

std::string value_info(std::string_view name, std::span<const std::uint32_t> sizes) {
  std::string shape;
  std::string free;
  bytes(free, kFreeName, "samples");
  bytes(shape, kDim, free);
  for (const std::uint32_t size : sizes) {
    std::string dim;
    whole(dim, kSize, size);
    bytes(shape, kDim, dim);
  }
  std::string tensor;
  whole(tensor, kElementType, kFloat);
  bytes(tensor, kShape, shape);
  std::string type;
  bytes(type, kTensorType, tensor);
  std::string info;
  bytes(info, kValueName, name);
  bytes(info, kType, type);
  return info;
}

}  // namespace

void OnnxWriter::constant(std::string_view name, std::span<const std::int64_t> sizes) {
  std::string tensor;
  for (const std::int64_t size : sizes) whole(tensor, kDims, static_cast<std::uint64_t>(size));
  whole(tensor, kDataType, kFloat);
  bytes(tensor, kTensorName, name);
  std::string entry;  // names a file as a rule; there is none
  bytes(entry, kKey, "location");
  bytes(entry, kEntryValue, "weights");
  bytes(tensor, kExternalData, entry);
  whole(tensor, kDataLocation, kExternal);
  bytes(constants_, kInitializer, tensor);
}

void OnnxWriter::wholes(std::string_view name, std::span<const std::int64_t> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  bytes(constants_, kInitializer, tensor_of(name, kInt64, {&count, 1}, std::as_bytes(values)));
}

void OnnxWriter::number(std::string_view name, std::int64_t value) {
  bytes(constants_, kInitializer, tensor_of(name, kInt64, {}, std::as_bytes(std::span(&value, 1))));
}

void OnnxWriter::number(std::string_view name, float value) {
  bytes(constants_, kInitializer, tensor_of(name, kFloat, {}, std::as_bytes(std::span(&value, 1))));
}

void OnnxWriter::node(std::string_view operation, std::span<const std::string> inputs, std::string_view output,
                      std::span<const Attribute> attributes) {
  std::string node;
  for (const std::string& input : inputs) bytes(node, kNodeInput, input);
  bytes(node, kNodeOutput, output);
  bytes(node, kOperation, operation);
  for (const auto& [name, value] : attributes) {
    std::string attribute;
    bytes(attribute, kAttributeName, name);
    std::visit(AttributeValue{attribute}, value);
    bytes(node, kAttribute, attribute);
  }
  bytes(nodes_, kNode, node);
}

std::string OnnxWriter::model(std::string_view input, std::span<const std::uint32_t> input_sizes,
                              std::string_view output, std::span<const std::uint32_t> output_sizes) const {
  std::string graph = nodes_;
  bytes(graph, kGraphName, "tutti");
  graph += constants_;
  bytes(graph, kInput, value_info(input, input_sizes));
  bytes(graph, kOutput, value_info(output, output_sizes));
  std::string opset;
  whole(opset, kOpsetVersion, kOpsetNumber);
  std::string model;
  whole(model, kIrVersion, kIr);
  bytes(model, kProducer, "tutti");
  bytes(model, kGraph, graph);
  bytes(model, kOpset, opset);
  return model;
}

}  // namespace tutti::worker
