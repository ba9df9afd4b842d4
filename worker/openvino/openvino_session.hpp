// A model that OpenVINO has loaded and compiled for the CPU. Knows nothing of members.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/choices.hpp>

#include "worker/graph/graph_session.hpp"
#include "worker/openvino/compiled_cache.hpp"

namespace tutti::worker::ov {

/// The model was read, and the CPU cannot compute it.
class CannotCompute : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
/// The CPU would compute it in another precision, which the text names.
class OtherPrecision : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Settings {
  std::uint32_t threads = 1;  ///< of all streams together; they are not pinned
  std::uint32_t streams = 1;  ///< calls that are computed at a time
  Precision precision = Precision::f32;
};

/// The compiled model is taken from `cache`, and kept there, if that is not null. Throws CannotCompute, OtherPrecision,
/// or another std::runtime_error, with the library's message.
std::unique_ptr<GraphSession> load_session(const std::string& path, const Settings& settings, CompiledCache* cache);
/// The same of a model in OpenVINO's own format in float32, with the values of its constants, which it reads where they
/// are.
std::unique_ptr<GraphSession> load_session_of(std::string_view xml, std::vector<float> constants,
                                              std::uint32_t threads);

}  // namespace tutti::worker::ov
