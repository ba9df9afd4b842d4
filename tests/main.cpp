// The main function of every test program.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TUTTI_UNDER_TSAN
#endif
#elif defined(__SANITIZE_THREAD__)
#define TUTTI_UNDER_TSAN
#endif

#ifdef TUTTI_UNDER_TSAN
// The counts of references to an exception and to its text are inside the C++ library, which is not instrumented:
// ThreadSanitizer does not see that the last of two threads frees it, and calls that a race.
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_suppressions() {
  return "race:std::__exception_ptr::exception_ptr::_M_release\nrace:std::runtime_error::~runtime_error\n";
}
#endif
