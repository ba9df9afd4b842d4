// Which worker hosts which member. Today each worker hosts one member and each member has one worker. A change to that
// (several members in one worker, replicas) starts here.
#pragma once

#include "common/ids.hpp"

namespace tutti {

constexpr WorkerId worker_of(Rank rank) { return WorkerId(rank.value()); }
constexpr Rank member_of(WorkerId worker) { return Rank(worker.value()); }

}  // namespace tutti
