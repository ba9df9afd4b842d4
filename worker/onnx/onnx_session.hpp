// A model that ONNX Runtime has loaded: what it takes and outputs, and a call of it. Knows nothing of members.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tutti/tensor.hpp>

#include "worker/onnx/ort_library.hpp"

namespace tutti::worker::ort {

/// An input or an output of the model. A size of -1 is free.
struct Port {
  std::string name;
  int type = 0;  ///< ElementType, or one that Tutti does not know; 0: not a tensor
  std::vector<std::int64_t> sizes;
};

/// For messages: "float32 [-1, 3, 224, 224]"; free sizes are written as '?'.
std::string text_of(const Port& port);
/// "float32"; of a type that is not known "type 8".
std::string type_text(int type);
int element_type(Dtype dtype);

/// One thread calls it.
class LoadedSession {
 public:
  /// Computes with `threads` threads, the caller's included, which sleep while there is nothing to do. Throws
  /// std::runtime_error with the library's message.
  LoadedSession(const std::string& path, std::uint32_t threads);
  LoadedSession(const LoadedSession&) = delete;  // names point into it
  LoadedSession& operator=(const LoadedSession&) = delete;

  const std::vector<Port>& inputs() const noexcept { return inputs_; }
  const std::vector<Port>& outputs() const noexcept { return outputs_; }

  /// A tensor over the memory of the caller.
  Value tensor(const void* data, std::size_t bytes, std::span<const std::int64_t> sizes, int type) const;
  struct Made {
    Value value;
    const void* data = nullptr;
    std::vector<std::int64_t> sizes;
    int type = 0;
  };
  /// Runs the model on one tensor per input and takes one of its outputs, in memory of the library.
  Made run(std::span<const Value> inputs, std::size_t output) const;
  /// The same into a tensor of the caller, which has the output's sizes and type.
  void run_into(std::span<const Value> inputs, std::size_t output, const Value& into) const;

 private:
  Handle compute(std::span<const Value> inputs, std::size_t output, Handle into) const;
  std::vector<Port> ports(bool of_inputs) const;

  const Library& library_ = Library::get();
  Owned<ReleaseMemoryInfo> memory_;
  Session session_;
  std::vector<Port> inputs_;
  std::vector<Port> outputs_;
  std::vector<const char*> input_names_;  ///< of inputs_, as each call takes them
};

}  // namespace tutti::worker::ort
