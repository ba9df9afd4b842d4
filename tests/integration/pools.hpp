// Ensembles over the real worker program. For tests only.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include <tutti/ensemble.hpp>

#include "common/log.hpp"
#include "common/mutex.hpp"
#include "tests/common/error_of.hpp"
#include "tests/support/census.hpp"
#include "tests/support/fake_ensemble.hpp"

namespace tutti::test {

/// The built worker program.
std::string worker_program();

inline Options with_worker(const std::string& program = worker_program()) {
  Options options;
  options.worker = program;
  return options;
}

inline Images view(const std::vector<float>& pixels) { return {std::span<const float>(pixels), kShape}; }

/// Fake members; the first death ends the pool.
inline config::EnsembleSpec failing_at_once(std::size_t count) {
  auto spec = fake_spec(count);
  spec.failure.on_worker_failure = OnWorkerFailure::fail;
  return spec;
}

/// What starting this ensemble throws; nothing if it starts.
inline std::optional<Error> start_error(const config::EnsembleSpec& spec, const Options& options = with_worker()) {
  return error_of([&] { const Ensemble ensemble(published(spec), options); });
}

/// The one line of an error, or "nothing".
template <class Call>
std::string message_of(Call&& call) {
  const auto error = error_of(call);
  return error ? error->message() : "nothing";
}

/// The lines that are logged during its lifetime.
class Lines {
 public:
  Lines() {
    log::set_output([this](log::Level, std::string_view line) {
      const MutexLock lock(mutex_);
      lines_.emplace_back(line);
    });
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;
  ~Lines() { log::set_output({}); }
  std::vector<std::string> all() const { return with(""); }
  std::vector<std::string> with(std::string_view part) const {
    const MutexLock lock(mutex_);
    std::vector<std::string> found;
    for (const std::string& line : lines_)
      if (contains(line, part)) found.push_back(line);
    return found;
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> lines_ TUTTI_GUARDED_BY(mutex_);
};

/// Checks in its destructor that this process owns what it owned in the constructor.
class NothingLeft {
 public:
  NothingLeft() : before_((adopt_orphans(), settle_threads(), Census::now())) {}
  NothingLeft(const NothingLeft&) = delete;
  NothingLeft& operator=(const NothingLeft&) = delete;
  ~NothingLeft() {
    Census now;
    // A thread that was joined stays listed for a moment.
    happens([&] {
      now = Census::now();
      return now == before_;
    });
    CHECK_MESSAGE(now == before_, "before: " << before_.text() << "\nafter: " << now.text());
  }

 private:
  const Census before_;
};

}  // namespace tutti::test
