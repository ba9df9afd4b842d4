#include "tests/integration/pools.hpp"

namespace tutti::test {

std::string worker_program() { return TUTTI_WORKER_PROGRAM; }

}  // namespace tutti::test
