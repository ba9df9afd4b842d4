// How many cores a process can keep busy: those it may run on, less if its control group grants less time.
#include "common/usable_cores.hpp"

#include <sched.h>

#include <doctest/doctest.h>

#include <thread>

namespace tutti::test {
namespace {

TEST_CASE("a quota of time counts in whole cores and there is always one") {
  CHECK(cores_worth(8, std::nullopt) == 8);
  CHECK(cores_worth(8, 2.5) == 2);
  CHECK(cores_worth(8, 2.0) == 2);
  CHECK(cores_worth(2, 7.5) == 2);
  CHECK(cores_worth(8, 0.5) == 1);
  CHECK(cores_worth(0, std::nullopt) == 1);
}

TEST_CASE("a thread that is tied to one core can use one") {
  CHECK(usable_cores() >= 1);
  std::uint32_t found = 0;
  std::thread tied([&] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(::sched_getcpu(), &set);
    if (::sched_setaffinity(0, sizeof set, &set) == 0) found = usable_cores();
  });
  tied.join();
  CHECK(found == 1);
}

}  // namespace
}  // namespace tutti::test
