// A fork server that fails at its first request. It answers what the environment variable TUTTI_FORK_ANSWER holds;
// without that, it makes a worker, which never says a word, and then stops itself as if by SIGSTOP. In every other role
// it is the worker program. For tests only.
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "common/build_id.hpp"
#include "tests/support/places.hpp"
#include "worker/control_client.hpp"
#include "worker/launch.hpp"

int main(int argc, char** argv) {
  using namespace tutti;
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const LaunchOptions options = parse_arguments(arguments);
  if (!options.fork_server) {
    ::execv(test::kWorkerProgram, argv);
    return kFailed;
  }
  worker::take_place(options);
  worker::ControlClient control{UniqueFd(kControlFd)};
  control.send(control::Hello{build_id()});
  pollfd request{kControlFd, POLLIN, 0};
  while (::poll(&request, 1, -1) != 1) {
  }
  if (const char* const text = std::getenv("TUTTI_FORK_ANSWER"); text != nullptr)
    (void)!::send(kControlFd, text, std::strlen(text), MSG_NOSIGNAL);
  else if (::syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr) != 0)
    ::raise(SIGSTOP);
  for (;;) ::pause();
}
