#include "bench/single/torch/multiply.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <c10/core/InferenceMode.h>

#include <chrono>

#include "worker/torch/models.hpp"

namespace tutti::bench {

double multiply_matrices(double seconds) {
  using Clock = std::chrono::steady_clock;
  constexpr std::int64_t kSize = 1024;  // three of them fit into a core's cache
  worker::set_up_torch(1);
  const c10::InferenceMode guard;
  const at::Tensor a = at::full({kSize, kSize}, 0.5, at::kFloat);
  const at::Tensor b = at::full({kSize, kSize}, 0.25, at::kFloat);
  at::Tensor product = at::empty({kSize, kSize}, at::kFloat);
  at::mm_out(product, a, b);  // the first call allocates and is slower
  const Clock::time_point begin = Clock::now();
  double operations = 0;
  std::chrono::duration<double> passed{0};
  while (passed.count() < seconds) {
    at::mm_out(product, a, b);
    operations += 2.0 * kSize * kSize * kSize;
    passed = Clock::now() - begin;
  }
  return operations / passed.count() * 1e-9;
}

}  // namespace tutti::bench
