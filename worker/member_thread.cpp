#include "worker/member_thread.hpp"

#include <signal.h>

#include <future>
#include <utility>

#include "common/thread.hpp"

namespace tutti::worker {

MemberThread::MemberThread() : thread_(start_thread("member", [this] { work(); })) {}

MemberThread::~MemberThread() {
  {
    const MutexLock lock(mutex_);
    ends_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void MemberThread::give(Deed deed) {
  const MutexLock lock(mutex_);
  deeds_.push_back(std::move(deed));
  changed_.notify_all();
}

void MemberThread::run(const Deed& deed) {
  std::packaged_task<void()> task(deed);
  std::future<void> done = task.get_future();
  give([&task] { task(); });
  done.get();
  finish();  // `task` is no longer used
}

void MemberThread::finish() {
  MutexLock lock(mutex_);
  while (!deeds_.empty()) changed_.wait(lock);
}

void MemberThread::work() {
  // A model that writes to its input is reported from the thread that does it (write_guard.hpp).
  sigset_t faults;
  ::sigemptyset(&faults);
  ::sigaddset(&faults, SIGSEGV);
  ::pthread_sigmask(SIG_UNBLOCK, &faults, nullptr);
  MutexLock lock(mutex_);
  for (;;) {
    while (deeds_.empty() && !ends_) changed_.wait(lock);
    if (deeds_.empty()) return;
    const Deed deed = std::move(deeds_.front());
    lock.unlock();
    deed();
    lock.lock();
    deeds_.pop_front();
    changed_.notify_all();
  }
}

}  // namespace tutti::worker
