#include "common/thread.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <string>
#include <system_error>

#include <tutti/error.hpp>

#include "common/system_limits.hpp"

namespace tutti {

std::thread start_thread(const char* name, std::function<void()> work) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // a new thread inherits the mask
  std::thread thread;
  std::error_code problem;
  try {
    thread = std::thread([name = std::string(name), work = std::move(work)] {
      ::pthread_setname_np(::pthread_self(), name.c_str());
      work();
    });
  } catch (const std::system_error& error) {
    problem = error.code();
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!thread.joinable())
    throw Error(ErrorKind::failed, fmt::format("could not start the thread '{}'", name), problem.message(),
                refusal_hint(problem.value()));
  return thread;
}

}  // namespace tutti
