// Samples that a caller writes straight into the memory that the workers read, so that nothing is copied.
//
//   tutti::Lease lease = ensemble.lease(8);
//   decode_into(lease.values<float>());                       // 8 x 3 x 32 x 32
//   std::future<tutti::Predictions> f = ensemble.submit(lease);
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/samples.hpp>
#include <tutti/tensor.hpp>

namespace tutti {

/// One tensor of the samples of a Lease, one sample after another, row-major.
struct LeasedTensor {
  NamedLayout tensor;          ///< of one sample
  std::span<std::byte> bytes;  ///< of all samples

  /// The values, if they are of this type: float, std::uint8_t, std::int32_t, std::int64_t or bool. Throws Error(usage)
  /// otherwise.
  template <class Value>
  std::span<Value> values() const {
    if (tensor.layout.dtype != TensorView({}, std::span<const Value>(), {}).tensor.layout.dtype)
      throw Error(ErrorKind::usage, "the values of '" + tensor.name + "' have another type than the one asked for", {},
                  "ask for the type that Ensemble::inputs() says");
    return {reinterpret_cast<Value*>(bytes.data()), bytes.size() / sizeof(Value)};
  }
};

/// A slot of an ensemble's input memory, which Ensemble::lease() gives. Write all samples, then pass it to
/// Ensemble::submit(): once. One that is destroyed before gives its slot back. Used by one thread at a time; the
/// ensemble continues meanwhile, and may end.
///
/// The memory stays mapped as long as this object is there, or what memory() gave. But from submit() on it is the
/// ensemble's: what is written to it then may change this prediction, or later those of others, and cannot be detected.
class TUTTI_API Lease {
 public:
  class State;  ///< for Tutti itself
  /// For Tutti itself; Ensemble::lease() makes one.
  explicit Lease(std::unique_ptr<State> state) noexcept;
  Lease(Lease&&) noexcept;             ///< the other one is empty then
  Lease& operator=(Lease&&) noexcept;  ///< gives its own slot back
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease();

  /// How many samples it is for. Throws Error(usage) if it was moved from.
  std::uint32_t count() const;
  /// Whether samples can be written and submitted: it was neither submitted, given back nor moved from.
  bool open() const noexcept;
  /// The tensors that each sample has, in the order of Ensemble::inputs(). They hold whatever was there before. Throws
  /// Error(usage) if it is not open.
  const std::vector<LeasedTensor>& tensors() const;
  /// Those of this name. Throws Error(usage) if there is none.
  const LeasedTensor& tensor(std::string_view name) const;
  /// The values of the only tensor. Throws Error(usage) if there are several, or if they have another type.
  template <class Value>
  std::span<Value> values() const {
    return only_tensor().values<Value>();
  }
  /// Keeps the memory mapped as long as anyone has it. Throws Error(usage) if the lease was moved from.
  std::shared_ptr<const void> memory() const;
  /// Gives the slot back now; nothing will be submitted.
  void give_back() noexcept;

  /// For Tutti itself; null if it was moved from.
  State* state() const noexcept { return state_.get(); }

 private:
  const LeasedTensor& only_tensor() const;
  std::unique_ptr<State> state_;
};

}  // namespace tutti
