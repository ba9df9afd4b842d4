#include "bench/single/computation.hpp"

#include <tutti/error.hpp>

namespace tutti::bench {

void Computation::train(const Input&, std::uint32_t) {
  throw Error(ErrorKind::failed, "this strategy cannot train", {}, "use 'sequential'");
}

std::unique_ptr<Computation> make_computation(const SingleJob& job) {
  switch (job.strategy) {
    case Strategy::sequential:
      return make_sequential(job);
    case Strategy::threads:
      return make_threads(job);
    case Strategy::branches:
      return make_branches(job);
    case Strategy::fused:
      return make_fused(job);
  }
  throw Error(ErrorKind::failed, "the job names no strategy");
}

}  // namespace tutti::bench
