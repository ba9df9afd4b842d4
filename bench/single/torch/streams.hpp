// Streams of a device: a main stream that a strategy computes on, and lanes next to it. Through LibTorch's
// device-generic interface, so that nothing here needs CUDA; the CPU has no streams, and the tests simulate some.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace tutti::bench {

/// Used by one thread at a time.
class Streams {
 public:
  /// Takes streams from LibTorch's pool for `device`, which is cyclic: beyond its 32 streams, lanes share them. They
  /// start when the work so far on the current stream is done: they do not wait automatically for the default one, on
  /// which weights may still be copied. Throws c10::Error if the device has none.
  Streams(c10::Device device, std::size_t lanes);

  /// Calls `work` with the main stream as the calling thread's current one. It is not the device's default stream, on
  /// which CUDA records no graph.
  void on_main(const std::function<void()>& work);

  /// Within on_main(): calls `work(lane)` for each lane, with it as the current stream. A lane starts when the work so
  /// far on the main stream is done; later work on the main stream waits for all lanes.
  void side_by_side(const std::function<void(std::size_t)>& work);

  /// Waits until the main stream is idle.
  void wait() const { guard_.synchronizeStream(main_); }

 private:
  c10::impl::VirtualGuardImpl guard_;
  c10::Stream main_;
  std::vector<c10::Stream> lanes_;
};

}  // namespace tutti::bench
