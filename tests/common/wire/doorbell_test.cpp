// The doorbell: rings, is silenced, and never blocks a process.
#include "common/wire/doorbell.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "tests/common/error_of.hpp"
#include "tests/common/limited_files.hpp"

namespace tutti::test {
namespace {

bool rung(const Doorbell& bell) {
  pollfd end{bell.fd(), POLLIN, 0};
  return ::poll(&end, 1, 0) == 1;
}

TEST_CASE("a doorbell is heard until it is silenced") {
  Doorbell bell = Doorbell::create();
  CHECK_FALSE(rung(bell));
  bell.ring();
  bell.ring();
  CHECK(rung(bell));
  bell.silence();
  CHECK_FALSE(rung(bell));
  bell.ring();
  CHECK(rung(bell));
}

TEST_CASE("every holder of the descriptor can see whether a ring was taken back") {
  Doorbell bell = Doorbell::create();
  const Doorbell peer(UniqueFd(::fcntl(bell.fd(), F_DUPFD_CLOEXEC, 0)));
  CHECK_FALSE(Doorbell::is_rung(bell.fd()));
  bell.ring();
  CHECK(Doorbell::is_rung(bell.fd()));
  CHECK(Doorbell::is_rung(peer.fd()));
  CHECK(Doorbell::is_rung(bell.fd()));  // looking takes nothing back
  bell.silence();
  CHECK_FALSE(Doorbell::is_rung(bell.fd()));
  CHECK_FALSE(Doorbell::is_rung(peer.fd()));
}

TEST_CASE("silencing a doorbell that was not rung does not wait") {
  Doorbell bell = Doorbell::create();
  bell.silence();
  CHECK_FALSE(rung(bell));
}

TEST_CASE("ringing a doorbell whose counter is full does not wait") {
  Doorbell bell = Doorbell::create();
  const std::uint64_t most = ~std::uint64_t{0} - 1;
  REQUIRE(::write(bell.fd(), &most, sizeof most) == sizeof most);
  bell.ring();  // would never return if it waited: the test's deadline would tell
  CHECK(rung(bell));
  std::uint64_t count = 0;
  REQUIRE(::read(bell.fd(), &count, sizeof count) == sizeof count);
  CHECK(count == most);
}

TEST_CASE("a doorbell closes when a program is started") {
  const Doorbell bell = Doorbell::create();
  CHECK((::fcntl(bell.fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a doorbell without a free descriptor is rejected with a way out") {
  std::optional<Error> error;
  {
    const NoMoreFiles limit;
    error = error_of([] { Doorbell::create(); });
  }
  REQUIRE(error);
  CHECK(error->message() == "could not create an eventfd");
  CHECK(contains(error->hint(), "ulimit -n"));
}

}  // namespace
}  // namespace tutti::test
