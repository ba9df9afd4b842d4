// A model that ONNX Runtime has loaded. Knows nothing of members.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "worker/graph/graph_session.hpp"

namespace tutti::worker::ort {

/// Computes with `threads` threads, the caller's included, which sleep while there is nothing to do. Throws
/// std::runtime_error with the library's message.
std::unique_ptr<GraphSession> load_session(const std::string& path, std::uint32_t threads);
/// The same of the bytes of a model file.
std::unique_ptr<GraphSession> load_session_of(std::string_view onnx, std::uint32_t threads);

}  // namespace tutti::worker::ort
