// A model that OpenVINO has loaded and compiled for the CPU. Knows nothing of members.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "worker/graph/graph_session.hpp"

namespace tutti::worker::ov {

/// The model was read, and the CPU cannot compute it.
class CannotCompute : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Computes as many calls at a time as there are `streams`, with `threads` threads together, which are not pinned, in
/// float32. Throws CannotCompute, or another std::runtime_error, with the library's message.
std::unique_ptr<GraphSession> load_session(const std::string& path, std::uint32_t threads, std::uint32_t streams);
/// The same of a model in OpenVINO's own format, with the values of its constants, which it reads where they are.
std::unique_ptr<GraphSession> load_session_of(std::string_view xml, std::vector<float> constants,
                                              std::uint32_t threads);

}  // namespace tutti::worker::ov
