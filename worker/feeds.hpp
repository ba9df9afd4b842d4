// What other workers have answered, for a stage that computes on it: their channels, mapped so that they can only be
// read. The coordinator says which there are.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <tutti/error.hpp>

#include "common/unique_fd.hpp"
#include "common/wire/channel.hpp"
#include "common/wire/control.hpp"

namespace tutti::worker {

/// Used by one thread.
class Feeds {
 public:
  /// Of an arena with so many slots, of so many samples.
  Feeds(std::uint32_t slots, std::uint32_t samples) : slots_(slots), samples_(samples) {}

  bool has(std::uint32_t number) const { return channels_.contains(number); }
  /// Maps a channel. Throws Error(failed) if its descriptor is missing or does not fit.
  void add(const control::Feed& feed, UniqueFd channel) {
    if (!channel) throw Error(ErrorKind::failed, "the outputs of another stage came without their memory");
    channels_.try_emplace(feed.number, MemoryFile(std::move(channel)),
                          ChannelLayout(slots_, samples_, feed.widths, feed.rows), feed.seat);
  }
  void forget(std::uint32_t number) { channels_.erase(number); }
  const ChannelOutputs& at(std::uint32_t number) const { return channels_.at(number); }

 private:
  const std::uint32_t slots_;
  const std::uint32_t samples_;
  std::map<std::uint32_t, ChannelOutputs> channels_;
};

}  // namespace tutti::worker
