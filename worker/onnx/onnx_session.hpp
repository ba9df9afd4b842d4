// A model that ONNX Runtime has loaded. Knows nothing of members.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/graph/graph_session.hpp"

namespace tutti::worker::ort {

/// Computes with `threads` threads, the caller's included, which sleep while there is nothing to do. Throws
/// std::runtime_error with the library's message.
std::unique_ptr<GraphSession> load_session(const std::string& path, std::uint32_t threads);

/// Values of a constant that a model has elsewhere.
struct External {
  std::string name;
  std::vector<std::int64_t> sizes;
  std::span<const float> values;
};
/// The same of the bytes of a model file without these values, which are not used after the call.
std::unique_ptr<GraphSession> load_session_of(std::string_view onnx, std::span<const External> externals,
                                              std::uint32_t threads);

}  // namespace tutti::worker::ort
