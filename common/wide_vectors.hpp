// Loops with vectors of 32 bytes where the CPU has them (AVX2), instead of the 16 bytes of every x86-64 CPU. The bits
// are the same: more values are computed at once, each by the same operations, for AVX2 does not include FMA.
#pragma once

namespace tutti {

/// Whether this CPU has AVX2. A test may change it.
inline bool& uses_wide_vectors() {
#if defined(__x86_64__)
  static bool uses = __builtin_cpu_supports("avx2") != 0;
#else
  static bool uses = false;
#endif
  return uses;
}

#if defined(__x86_64__)
template <class Call>
[[gnu::target("avx2"), gnu::flatten]] void call_with_avx2(Call call) {
  call();
}
#endif

/// Makes the call, which is compiled twice. Loops that are inlined into it use wide vectors; what is not inlined
/// remains as it is. A lambda should capture numbers and pointers by value, for the compiler to know that its loops do
/// not change them.
template <class Call>
void with_wide_vectors(Call call) {
#if defined(__x86_64__)
  if (uses_wide_vectors()) return call_with_avx2(call);
#endif
  call();
}

}  // namespace tutti
