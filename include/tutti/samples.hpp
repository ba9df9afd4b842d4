// Samples in memory that are not single images: several tensors per sample, or one of another shape or type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <ranges>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <tutti/tensor.hpp>

namespace tutti {

/// One tensor of consecutive samples in memory that the caller owns, one sample after another, row-major.
struct TensorView {
  NamedLayout tensor;                ///< of one sample
  std::span<const std::byte> bytes;  ///< of all samples

  /// Of a vector, span or array of float, std::uint8_t, std::int32_t, std::int64_t or bool; `dims` are the sizes of one
  /// sample, {} for a number.
  template <std::ranges::contiguous_range Values>
  requires std::ranges::borrowed_range<Values> TensorView(std::string name, Values&& values, Dims dims)
      : tensor{std::move(name), {dtype_of<std::ranges::range_value_t<Values>>(), std::move(dims)}},
        bytes(std::as_bytes(std::span(values))) {}
  /// Of any type, such as float16, which C++ has no name for.
  TensorView(NamedLayout layout, std::span<const std::byte> values) : tensor(std::move(layout)), bytes(values) {}

 private:
  template <class Value>
  static constexpr Dtype dtype_of() {
    static_assert(sizeof(bool) == 1);
    if constexpr (std::is_same_v<Value, float>)
      return Dtype::float32;
    else if constexpr (std::is_same_v<Value, std::uint8_t>)
      return Dtype::uint8;
    else if constexpr (std::is_same_v<Value, std::int32_t>)
      return Dtype::int32;
    else if constexpr (std::is_same_v<Value, std::int64_t>)
      return Dtype::int64;
    else {
      static_assert(std::is_same_v<Value, bool>, "give a NamedLayout and the bytes");
      return Dtype::boolean;
    }
  }
};

/// A view of consecutive samples that the caller owns: the tensors that the ensemble's `input` declares, by their
/// names, in any order. The memory must stay valid until the call, or the future, that was given the view ends.
///
///   tutti::Samples samples{{"image", pixels, {3, 32, 32}}, {"table", rows, {7}}};
class Samples {
 public:
  Samples() = default;  ///< of no tensors, which no ensemble takes

  /// Of one or several tensors.
  Samples(std::initializer_list<TensorView> tensors) : tensors_(tensors) {}
  /// The same.
  explicit Samples(std::vector<TensorView> tensors) : tensors_(std::move(tensors)) {}

  /// In the order in which they were given.
  const std::vector<TensorView>& tensors() const noexcept { return tensors_; }
  /// Number of whole samples in the first tensor; if another has a different number, using the view is an error.
  std::size_t count() const noexcept {
    if (tensors_.empty() || tensors_.front().tensor.layout.bytes() == 0) return 0;
    return tensors_.front().bytes.size() / tensors_.front().tensor.layout.bytes();
  }

 private:
  std::vector<TensorView> tensors_;
};

}  // namespace tutti
