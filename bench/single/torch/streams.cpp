#include "bench/single/torch/streams.hpp"

#include <c10/core/Event.h>

namespace tutti::bench {
namespace {

class Current {
 public:
  Current(const c10::impl::VirtualGuardImpl& guard, c10::Stream stream)
      : guard_(guard), before_(guard.exchangeStream(stream)) {}
  ~Current() { guard_.exchangeStream(before_); }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

 private:
  const c10::impl::VirtualGuardImpl& guard_;
  c10::Stream before_;
};

/// Later work on `later` waits for the work so far on `earlier`. The event may be destroyed before it occurs: the
/// device keeps what it needs.
void order(c10::Stream earlier, c10::Stream later) {
  c10::Event event(earlier.device_type());
  event.record(earlier);
  event.block(later);
}

}  // namespace

Streams::Streams(c10::Device device, std::size_t lanes)
    : guard_(device.type()), main_(guard_.getStreamFromGlobalPool(device)) {
  for (std::size_t lane = 0; lane < lanes; ++lane) lanes_.push_back(guard_.getStreamFromGlobalPool(device));
  order(guard_.getStream(device), main_);  // the lanes wait for the main stream
}

void Streams::on_main(const std::function<void()>& work) {
  const Current current(guard_, main_);
  work();
}

void Streams::side_by_side(const std::function<void(std::size_t)>& work) {
  // All forks come before the first join: a lane that started after one would wait for the lanes joined so far. If the
  // main stream is recorded, the fork makes a lane part of the recording, and the join ends that.
  for (const c10::Stream& lane : lanes_) order(main_, lane);
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    const Current current(guard_, lanes_[lane]);
    work(lane);
  }
  for (const c10::Stream& lane : lanes_) order(lane, main_);
}

}  // namespace tutti::bench
