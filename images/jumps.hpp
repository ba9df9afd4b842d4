// Libraries that report errors by longjmp(), which must not skip a destructor.
#pragma once

#include <array>
#include <csetjmp>

#include "images/decoding.hpp"

namespace tutti::images {

/// Where longjmp() returns to after an error of a library, and the library's message.
struct Way {
  std::jmp_buf back;
  std::array<char, 256> text;
};

/// Makes calls that may jump to `way`; throws instead.
template <class Calls>
[[gnu::noinline]] void guarded(Way& way, const Calls& calls) {
  if (setjmp(way.back) == 0)
    calls();
  else
    refuse_image(way.text.data());
}

}  // namespace tutti::images
