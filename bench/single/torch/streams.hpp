// Streams of a device: one that a strategy computes on, and lanes beside it. By LibTorch's device-generic interface, so
// that nothing here needs CUDA; the CPU has no streams, and the tests lend it some.
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
  /// Takes streams out of LibTorch's pool for `device`, which goes round: beyond its 32 some are the same ones, and
  /// then take turns. They begin when what the current stream was given so far is done: they do not wait for the
  /// default one by themselves, where weights may still be on their way. Throws c10::Error where the device has none.
  Streams(c10::Device device, std::size_t lanes);

  /// Calls `work` with the main stream as the calling thread's current one. It is not the device's default stream, on
  /// which CUDA records no graph.
  void on_main(const std::function<void()>& work);

  /// Within on_main(): calls `work(lane)` for each lane, with it as the current stream. A lane begins when what the
  /// main stream was given so far is done; what it is given next waits for all of them.
  void side_by_side(const std::function<void(std::size_t)>& work);

  /// Waits until the main stream has nothing left to do.
  void wait() const { guard_.synchronizeStream(main_); }

 private:
  c10::impl::VirtualGuardImpl guard_;
  c10::Stream main_;
  std::vector<c10::Stream> lanes_;
};

}  // namespace tutti::bench
