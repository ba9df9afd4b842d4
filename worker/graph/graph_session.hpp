// A model that a library has loaded from a file: named inputs and outputs, and calls of it. What ONNX Runtime and
// OpenVINO have in common; knows nothing of members.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tutti::worker {

/// An input or an output of the model. A size of -1 is free.
struct Port {
  std::string name;
  std::string type;  ///< of its values: to_name(Dtype), "float64", or what the library calls it; empty: not a tensor
  std::vector<std::int64_t> sizes;
};

/// For messages: "float32 [?, 3, 224, 224]"; free sizes are written as '?'.
std::string text_of(const Port& port);

/// A tensor in memory of the caller that one input gets, with values of that input's type. The memory may be READ-ONLY.
struct Fed {
  const void* data = nullptr;
  std::size_t bytes = 0;
  std::vector<std::int64_t> sizes;
};

/// Memory of the caller that an output of float32 is written to, and its sizes.
struct Into {
  std::span<float> values;
  std::vector<std::int64_t> sizes;
};

/// An output as it was computed. The memory is that of the library, and valid until the next call of the same lane.
struct Made {
  const void* data = nullptr;
  std::vector<std::int64_t> sizes;
  std::string type;  ///< as in a Port
};

/// One thread calls it. Every call throws std::exception with the library's message.
class GraphSession {
 public:
  GraphSession() = default;
  GraphSession(const GraphSession&) = delete;
  GraphSession& operator=(const GraphSession&) = delete;
  virtual ~GraphSession() = default;

  virtual const std::vector<Port>& inputs() const = 0;
  virtual const std::vector<Port>& outputs() const = 0;

  /// How many calls may be computed at the same time.
  virtual std::uint32_t lanes() const { return 1; }
  /// Begins to compute the output with this number from one tensor for each input, `into` unless it is null. The lane
  /// has no call that is not finished; all memory stays as it is until it is.
  virtual void start(std::uint32_t lane, std::span<const Fed> inputs, std::size_t output, const Into* into) = 0;
  /// Waits for the lane's call. What was computed `into` memory of the caller has no `data` here.
  virtual Made finish(std::uint32_t lane) = 0;
};

}  // namespace tutti::worker
