// Messages of the ONNX format as bytes, for tests of what reads it.
#pragma once

#include <string>
#include <string_view>

namespace tutti::test {

/// A field, of a number below 16, that holds a text or another message.
inline std::string onnx_field(int number, std::string_view content) {
  std::string bytes(1, static_cast<char>(number << 3 | 2));
  std::size_t rest = content.size();
  for (; rest >= 0x80; rest >>= 7) bytes += static_cast<char>((rest & 0x7F) | 0x80);
  bytes += static_cast<char>(rest);
  return bytes.append(content);
}

/// A tensor whose values are in that file.
inline std::string onnx_tensor(std::string_view file) {
  return onnx_field(13, onnx_field(1, "location") + onnx_field(2, file)) +
         onnx_field(13, onnx_field(1, "offset") + onnx_field(2, "0"));
}

/// A model with such a constant.
inline std::string onnx_model(std::string_view file) { return onnx_field(7, onnx_field(5, onnx_tensor(file))); }

}  // namespace tutti::test
