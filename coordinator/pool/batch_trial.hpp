// Carries out what BatchSearch decides: rounds of made-up images through a pool that is not in use yet.
#pragma once

#include <string>
#include <vector>

#include "common/ids.hpp"
#include "coordinator/decide/batch_search.hpp"
#include "coordinator/pool/batch_sizes.hpp"
#include "coordinator/pool/pool.hpp"

namespace tutti {

/// Members that are measured together: ranks, in order.
using Groups = std::vector<std::vector<Rank>>;

/// Members that get the same batch: of the same model, on the same device, with the same threads; of stages, all of
/// them. The stages of a member have one batch.
Groups batch_groups(const Plan& plan);

/// "cnn-0..cnn-3: batches of 32 images (measured: 4: 2100/s, 8: 2600/s)"; `ranks` is in order and not empty.
std::string batch_text(const Plan& plan, const std::vector<Rank>& ranks, const BatchChoice& choice);

/// The speed of every member while all of them run: with the batches of the plan, all of one size, for about
/// `each`; or, if they are to be measured, with those that a search tries. Settles nothing. Throws the pool's failure.
ByRank<BatchChoice> measured_speeds(Pool& pool, BatchSearch::Seconds each);

/// Finds the best batch of every member while all of them run, settles the pool with it, and logs it. Throws the pool's
/// failure.
void measure_batches(Pool& pool);

}  // namespace tutti
