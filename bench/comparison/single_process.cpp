#include "bench/comparison/single_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

#include <tutti/error.hpp>

#include "coordinator/process/exit_status.hpp"

namespace tutti::bench {
namespace {

constexpr int kPatienceMilliseconds = 5000;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw Error(ErrorKind::failed, "could not make a pipe to a process", std::strerror(errno));
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// Keeps the calling thread on `cores` while it lives; a process that is started meanwhile inherits them.
class OnCores {
 public:
  explicit OnCores(const std::vector<int>& cores) {
    if (cores.empty() || ::sched_getaffinity(0, sizeof before_, &before_) != 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const int core : cores) CPU_SET(static_cast<std::size_t>(core), &set);
    moved_ = ::sched_setaffinity(0, sizeof set, &set) == 0;
  }
  OnCores(const OnCores&) = delete;
  OnCores& operator=(const OnCores&) = delete;
  ~OnCores() {
    if (moved_) ::sched_setaffinity(0, sizeof before_, &before_);
  }

 private:
  cpu_set_t before_{};
  bool moved_ = false;
};

/// A figure is sent as a number or, so that it arrives unchanged, as text.
double figure_of(const json::object& answer, std::string_view figure, const std::string& name) {
  double number = -1;
  if (const json::value* value = answer.if_contains(figure); value != nullptr) {
    if (const json::string* text = value->if_string())
      std::from_chars(text->data(), text->data() + text->size(), number);
    else if (value->is_number())
      number = value->to_number<double>();
  }
  if (!std::isfinite(number) || number < 0)
    throw Error(ErrorKind::failed, fmt::format("the process of '{}' sent no {}", name, figure),
                json::serialize(answer));
  return number;
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace

SingleProcess::SingleProcess(std::string name, const Launch& launch, const ImageSet& images, Departure& departure)
    : name_(std::move(name)), departure_(departure), answers_(MemoryFile::create("bench-answers")) {
  Pipe questions = make_pipe();
  Pipe answers = make_pipe();
  static_assert(kImagesFd == 3 && kAnswersFd == 4);
  const OnCores cores(launch.cores);
  child_ = Child::spawn({launch.program,
                         {},
                         launch.environment,
                         {questions.read.get(), answers.write.get(), STDERR_FILENO, images.fd(), answers_.fd()}});
  departure_.take_along(child_->pidfd());
  to_child_ = std::move(questions.write);
  from_child_ = std::move(answers.read);
}

SingleProcess::~SingleProcess() {
  to_child_.reset();
  pollfd ended{child_->pidfd(), POLLIN, 0};
  if (::poll(&ended, 1, kPatienceMilliseconds) <= 0) send_signal(child_->pidfd(), SIGKILL);
  ::poll(&ended, 1, kPatienceMilliseconds);
  departure_.forget(child_->pidfd());
  reap(child_->pidfd());
}

std::string SingleProcess::prepare(const SingleJob& job) {
  return text_of(ask(fmt::format(R"({{"prepare":{}}})", encode(job)), "ready"), "backend");
}

double SingleProcess::run() { return figure_of(ask(R"({"run":{}})", "ran"), "seconds", name_); }

double SingleProcess::train(std::uint32_t epochs) {
  return figure_of(ask(fmt::format(R"({{"train":{{"epochs":{}}}}})", epochs), "trained"), "seconds", name_);
}

double SingleProcess::multiply(double seconds) {
  return figure_of(ask(fmt::format(R"({{"multiply":{{"seconds":{}}}}})", seconds), "multiplied"), "gflops", name_);
}

std::vector<float> SingleProcess::answer() const {
  std::vector<float> values(answers_.size() / sizeof(float));
  auto* const bytes = reinterpret_cast<char*>(values.data());
  for (std::size_t done = 0; done < values.size() * sizeof(float);) {
    const ssize_t length =
        ::pread(answers_.fd(), bytes + done, values.size() * sizeof(float) - done, static_cast<off_t>(done));
    if (length <= 0) throw Error(ErrorKind::failed, fmt::format("could not read the predictions of '{}'", name_));
    done += static_cast<std::size_t>(length);
  }
  return values;
}

json::object SingleProcess::ask(const std::string& question, std::string_view answer) {
  const std::string line = question + '\n';
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t length = ::write(to_child_.get(), line.data() + sent, line.size() - sent);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) explain_end();  // EPIPE: the process has ended
    sent += static_cast<std::size_t>(length);
  }
  const std::string text = read_line();
  const json::value said = parse_json(text, fmt::format("the reply of the process of '{}'", name_));
  if (const json::object* object = said.if_object()) {
    if (const json::value* failed = object->if_contains("failed"); failed != nullptr && failed->is_object())
      throw Refused(ErrorKind::failed, text_of(failed->get_object(), "text"), {},
                    text_of(failed->get_object(), "hint"));
    if (const json::value* found = object->if_contains(answer); found != nullptr && found->is_object())
      return found->get_object();
  }
  throw Error(ErrorKind::failed, fmt::format("the process of '{}' did not reply '{}'", name_, answer),
              text.substr(0, 200));
}

// No deadline, since the time of a pass is what is being measured. A process that ends closes the pipe.
std::string SingleProcess::read_line() {
  for (;;) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    std::array<char, 4096> buffer;
    const ssize_t length = ::read(from_child_.get(), buffer.data(), buffer.size());
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) explain_end();
    received_.append(buffer.data(), static_cast<std::size_t>(length));
  }
}

void SingleProcess::explain_end() {
  pollfd ended{child_->pidfd(), POLLIN, 0};
  ::poll(&ended, 1, kPatienceMilliseconds);
  const auto status = reap(child_->pidfd());
  throw Error(ErrorKind::failed,
              fmt::format("the process of '{}' {}", name_, status ? to_text(*status) : "closed its standard output"),
              {}, "look for the reason in its stderr or in the kernel's log");
}

}  // namespace tutti::bench
