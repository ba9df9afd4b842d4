#include "tests/integration/pools.hpp"
#include "tests/support/places.hpp"

namespace tutti::test {

std::string worker_program() { return test::kWorkerProgram; }

}  // namespace tutti::test
