// Finished segments with answers in a channel, and lineups, without workers. For tests only.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "coordinator/decide/lineup.hpp"
#include "coordinator/pool/exchange.hpp"

namespace tutti::test {

/// A channel whose output slot `slot` holds `values`.
inline std::shared_ptr<const Channel> channel_with(const ArenaLayout& arena, std::uint32_t slot,
                                                   const std::vector<float>& values, std::uint32_t width) {
  const ChannelLayout layout{arena.slots, arena.images, {width}};
  MemoryFile file = MemoryFile::create("test");
  file.allocate(layout.bytes(), "a test");
  auto channel = std::make_shared<Channel>(file, layout);
  std::copy(values.begin(), values.end(), channel->output(SlotId(slot), arena.images).begin());
  return channel;
}

inline std::shared_ptr<const Lineup> lineup_of(const Accumulator& accumulator, const ByRank<Dims>& outputs,
                                               const std::optional<ClassAxis>& combined) {
  return std::make_shared<const Lineup>(whole_lineup(accumulator, outputs, combined));
}

}  // namespace tutti::test
