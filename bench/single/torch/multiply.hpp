// How fast one thread of LibTorch multiplies matrices: the limit for a network's speed.
#pragma once

namespace tutti::bench {

/// Multiplies square float32 matrices on one thread for at least `seconds`; 10^9 operations per second, a
/// multiplication and an addition counted as two.
double multiply_matrices(double seconds);

}  // namespace tutti::bench
