// What the methods of merging have in common: they compute the values of one chunk of a tensor at a time, and some look
// at all chunks first. Only for merge/.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "merge/agreement.hpp"
#include "merge/numbers.hpp"

namespace tutti::merge {

/// Values per chunk: small enough that inputs and sums stay in a core's cache, large enough that a system call costs
/// little compared with its copy.
inline constexpr std::size_t kChunkValues = 1 << 15;

struct Chunk {
  std::size_t tensor = 0;   ///< its place in Agreement::tensors
  std::uint64_t first = 0;  ///< value
  std::size_t count = 0;
};

/// The memory of one thread: a chunk of one checkpoint, a chunk of the base, and sums.
template <class Real>
class Lane {
 public:
  /// The values of a chunk, valid until the next call.
  std::span<const Real> values(const Column& column, const Chunk& chunk) { return read(column, chunk, values_); }
  /// The same in separate memory.
  std::span<const Real> base(const Column& column, const Chunk& chunk) { return read(column, chunk, base_); }
  /// One of several buffers for sums, set to zero.
  std::span<Real> zeros(std::size_t which, std::size_t count) {
    if (sums_.size() <= which) sums_.resize(which + 1);
    sums_[which].assign(count, Real{0});
    return sums_[which];
  }
  /// Bytes read since the last call.
  std::uint64_t take_bytes_read() { return std::exchange(bytes_read_, 0); }

 private:
  std::span<const Real> read(const Column& column, const Chunk& chunk, std::vector<Real>& out) {
    const std::size_t size = size_of(column.dtype);
    raw_.resize(chunk.count * size);
    column.checkpoint->read(column.name, chunk.first * size, raw_);
    bytes_read_ += raw_.size();
    out.resize(chunk.count);
    decode<Real>(column.dtype, raw_, out);
    return out;
  }

  std::vector<std::byte> raw_;
  std::vector<Real> values_;
  std::vector<Real> base_;
  std::vector<std::vector<Real>> sums_;
  std::uint64_t bytes_read_ = 0;
};

/// Called for each chunk of the floating tensors, on several threads at once; `thread` is below the number of threads.
template <class Real>
using ScanWork = std::function<void(std::size_t index, const Chunk& chunk, Lane<Real>& lane, unsigned thread)>;

/// The floating tensors, cut into chunks, and a way to look at all of them.
template <class Real>
struct Workload {
  std::span<const MergedTensor> tensors;
  std::span<const Chunk> chunks;
  std::size_t inputs = 0;
  unsigned threads = 1;
  std::function<void(const ScanWork<Real>&)> scan;  ///< one pass
};

/// Any thread; several at once.
template <class Real>
class Method {
 public:
  Method() = default;
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;
  virtual ~Method() = default;
  virtual void compute(const MergedTensor& tensor, const Chunk& chunk, Lane<Real>& lane, std::span<Real> out) const = 0;
};

/// The sum of all inputs, divided by their number.
template <class Real>
std::unique_ptr<Method<Real>> make_average();
/// The sum of all inputs, each times its factor.
template <class Real>
std::unique_ptr<Method<Real>> make_weighted(const std::vector<double>& factors);
template <class Real>
std::unique_ptr<Method<Real>> make_task_arithmetic(double scaling);
/// Reads all chunks sizeof(Real) / 2 times, unless density is 1.
template <class Real>
std::unique_ptr<Method<Real>> make_ties(const Workload<Real>& work, const MergeSettings& settings);
/// Reads all chunks once.
template <class Real>
std::unique_ptr<Method<Real>> make_slerp(const Workload<Real>& work, double t);

}  // namespace tutti::merge
