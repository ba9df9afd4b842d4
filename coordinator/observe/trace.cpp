#include "coordinator/observe/trace.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include <tutti/error.hpp>

#include "common/build_id.hpp"
#include "common/json.hpp"
#include "common/log.hpp"
#include "common/print_ids.hpp"

namespace tutti {
namespace {

// An eighth of a microsecond, the unit of the format. Its decimals and sums are exact in binary, so slices that are
// adjacent here do not overlap because of rounding in the reader: Perfetto, which multiplies by 1000 and truncates,
// would drop a slice that overlaps by a nanosecond.
constexpr std::uint64_t kStepNanoseconds = 125;
constexpr std::uint64_t kStepsPerMicrosecond = 8;
constexpr std::size_t kWriteBytes = 1 << 20;

std::uint64_t stamp(TraceRecorder::Time time) {
  const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(nanoseconds, 0));
}

/// With a decimal point and no exponent: readers parse that form exactly (see kStepNanoseconds).
std::string microseconds(std::uint64_t steps) {
  return fmt::format("{}.{:03}", steps / kStepsPerMicrosecond, steps % kStepsPerMicrosecond * kStepNanoseconds);
}

/// Each member of a unit has a track. Numbers of threads are below 2^22 (PID_MAX_LIMIT of Linux).
int track_of(int pid, Seat seat) { return pid + static_cast<int>(seat.value() << 22); }

std::string json_text(std::string_view text) { return json::serialize(json::string(text)); }

/// The absolute path of the file, with links resolved: the working directory may change before it is written.
std::filesystem::path checked(const std::filesystem::path& file) {
  std::error_code code;
  const auto kind = std::filesystem::status(file, code).type();
  using std::filesystem::file_type;
  const auto refuse = [&](const std::string& why, const char* hint) {
    throw Error(ErrorKind::usage, fmt::format("cannot write a trace to {}", file.string()), why, hint);
  };
  if (kind != file_type::not_found && kind != file_type::regular && kind != file_type::none)
    refuse("it is not a regular file", "name a file that may be replaced, 'trace.json' for example");
  const std::filesystem::path folder = file.parent_path();
  if (!folder.empty() && std::filesystem::status(folder, code).type() == file_type::not_found)
    refuse(fmt::format("there is no folder {}", folder.string()), "create the folder first, or name another file");
  const auto absolute = std::filesystem::absolute(file);
  auto resolved = std::filesystem::weakly_canonical(absolute, code);
  return code ? absolute : resolved;
}

}  // namespace

TraceRecorder::TraceRecorder(const std::filesystem::path& file, std::vector<std::string> names, Time begin,
                             std::size_t limit)
    : pid_(::getpid()), begin_(stamp(begin)), limit_(limit), names_(std::move(names)), file_(checked(file)) {}

TraceRecorder::~TraceRecorder() {
  try {
    write();
  } catch (const std::exception& error) {
    log::error("could not write the trace of this run: {}", error.what());
  }
}

void TraceRecorder::joins(Rank rank, const std::string& name) {
  const MutexLock lock(mutex_);
  while (names_.size() <= rank.value()) names_.push_back({});
  names_[rank] = name;
}

// ---- workers -------------------------------------------------------------------------------------------------------

void TraceRecorder::chosen(int pid, const std::vector<Rank>& unit, Generation generation, Time now) {
  const MutexLock lock(mutex_);
  std::vector<std::string> names;
  for (const Rank rank : unit) names.push_back(names_[rank]);
  processes_[pid] = {unit, generation, std::move(names), std::vector<Stamp>(unit.size(), stamp(now)), {}};
}

void TraceRecorder::begun(int pid, Time now) {
  const MutexLock lock(mutex_);
  const auto process = processes_.find(pid);
  if (process == processes_.end()) return;
  const Stamp since = process->second.free_since.front();
  std::ranges::fill(process->second.free_since, stamp(now));
  add_slice({.kind = Kind::start, .pid = pid, .tid = pid}, since, stamp(now));
  add_in_flight(pid, process->second, stamp(now));
}

void TraceRecorder::handed_out(int pid, const TaskRecord& task, Time now) {
  const MutexLock lock(mutex_);
  const auto process = processes_.find(pid);
  if (process == processes_.end()) return;
  process->second.out.push_back(
      {task.sequence, task.seat, stamp(now), task.kind == TaskKind::train ? Kind::train : Kind::infer});
  add_in_flight(pid, process->second, stamp(now));
}

void TraceRecorder::answered(int pid, const CompletionRecord& record, Time now) {
  const MutexLock lock(mutex_);
  const auto found = processes_.find(pid);
  if (found == processes_.end()) return;
  Process& process = found->second;
  const auto asked = std::find_if(process.out.begin(), process.out.end(),
                                  [&](const Task& task) { return task.sequence == record.sequence; });
  if (asked == process.out.end()) return;
  const Task task = *asked;
  process.out.erase(asked);
  Stamp& free_since = process.free_since.at(task.seat.value());
  const Stamp found_at = stamp(now);
  const Stamp earliest = std::min(std::max(task.handed_out, free_since), found_at);
  const Stamp begun = std::clamp(record.begun_nanoseconds, earliest, found_at);
  const Stamp computed = std::clamp(record.computed_nanoseconds, begun, found_at);
  const Stamp written = std::clamp(record.written_nanoseconds, computed, found_at);
  Event event{.pid = pid, .tid = track_of(pid, task.seat), .segment = record.segment, .count = record.images};
  event.kind = Kind::wait;
  if (steps(begun) > steps(free_since)) add_slice(event, free_since, begun);
  event.kind = task.kind;
  event.queued = steps(begun) - steps(task.handed_out);
  event.noticed = steps(found_at) - steps(written);
  add_slice(event, begun, computed);
  event.kind = Kind::write;
  if (steps(written) > steps(computed)) add_slice(event, computed, written);
  free_since = written;
  add_in_flight(pid, process, found_at);
}

void TraceRecorder::ended(int pid, std::string_view how, Time now) {
  const MutexLock lock(mutex_);
  const auto process = processes_.find(pid);
  if (process == processes_.end()) return;
  add_text({.kind = Kind::ended, .pid = pid, .tid = pid, .count = process->second.out.size()}, how, stamp(now));
  process->second.out.clear();
  add_in_flight(pid, process->second, stamp(now));
}

// ---- coordinator ---------------------------------------------------------------------------------------------------

void TraceRecorder::did(Deed deed, SlotId slot, std::uint32_t images, Time begin, Time end) {
  constexpr std::array kKinds{Kind::fill, Kind::judge, Kind::combine, Kind::sink};
  const MutexLock lock(mutex_);
  Slot& place = slots_[slot];
  Event event{.kind = kKinds[static_cast<std::size_t>(deed)],
              .pid = pid_,
              .tid = this_thread(),
              .begin = steps(stamp(begin)),
              .end = steps(stamp(end)),
              .segment = place.segment,
              .count = images};
  if (deed == Deed::fill)
    place.filled = event;
  else
    add(event);
}

void TraceRecorder::opened(SlotId slot, SegmentId segment) {
  const MutexLock lock(mutex_);
  Slot& place = slots_[slot];
  place.segment = segment;
  if (!place.filled) return;
  place.filled->segment = segment;
  add(*place.filled);
  place.filled.reset();
}

void TraceRecorder::said(std::string_view line, Time now) {
  const MutexLock lock(mutex_);
  add_text({.kind = Kind::said, .pid = pid_, .tid = this_thread()}, line, stamp(now));
}

// ---- events --------------------------------------------------------------------------------------------------------

TraceRecorder::Stamp TraceRecorder::steps(Stamp nanoseconds) const {
  return (std::max(nanoseconds, begin_) - begin_) / kStepNanoseconds;
}

void TraceRecorder::add(const Event& event) {
  if (events_.size() < limit_)
    events_.push_back(event);
  else
    ++dropped_;
}

void TraceRecorder::add_slice(Event slice, Stamp begin, Stamp end) {
  slice.begin = steps(begin);
  slice.end = steps(end);
  add(slice);
}

void TraceRecorder::add_in_flight(int pid, const Process& process, Stamp now) {
  add_slice({.kind = Kind::in_flight, .pid = pid, .tid = pid, .count = process.out.size()}, now, now);
}

void TraceRecorder::add_text(Event event, std::string_view text, Stamp now) {
  event.text = static_cast<std::uint32_t>(texts_.size());
  if (events_.size() < limit_) texts_.emplace_back(text);
  add_slice(event, now, now);
}

int TraceRecorder::this_thread() {
  thread_local const int tid = ::gettid();
  if (!threads_.contains(tid)) {
    std::array<char, 16> name{};
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
    threads_[tid] = name.data();
  }
  return tid;
}

// ---- the file ------------------------------------------------------------------------------------------------------

// Line by line into a file, since a tree of a million events would take a gigabyte.
void TraceRecorder::write() {
  const MutexLock lock(mutex_);
  const json::object about{
      {"tutti", version()}, {"build_id", build_id()}, {"dropped_events", dropped_}, {"event_limit", limit_}};
  std::string text = fmt::format("{{\"displayTimeUnit\":\"ms\",\"otherData\":{},\"traceEvents\":[\n{}",
                                 json::serialize(about), names());
  for (const Event& event : events_) {
    text += fmt::format(",\n{}", text_of(event));
    if (text.size() < kWriteBytes) continue;
    file_.write(text);
    text.clear();
  }
  file_.write(text + "\n]}\n");
  const std::string path = file_.path().string();
  file_.commit();
  if (dropped_ > 0)
    log::warning("the trace {} ends early: {} events came after the first {} and were left out", path, dropped_,
                 limit_);
  log::info("the trace is in {}; ui.perfetto.dev shows it", path);
}

/// The names of the processes, in the order of the members, the coordinator first.
std::string TraceRecorder::names() const {
  const auto named = [](const char* what, int pid, int tid, const char* key, const std::string& value) {
    return fmt::format(R"({{"name":"{}","ph":"M","pid":{},"tid":{},"args":{{"{}":{}}}}})", what, pid, tid, key, value);
  };
  std::string text = named("process_name", pid_, pid_, "name", json_text("coordinator"));
  text += ",\n" + named("process_sort_index", pid_, pid_, "sort_index", "0");
  for (const auto& [tid, name] : threads_) text += ",\n" + named("thread_name", pid_, tid, "name", json_text(name));
  for (const auto& [pid, process] : processes_) {
    std::string member = process.names.front();
    if (process.unit.size() > 1) member += fmt::format(" and {} more", process.unit.size() - 1);
    const std::string name =
        process.generation == Generation(0) ? member : fmt::format("{} (replacement {})", member, process.generation);
    text += ",\n" + named("process_name", pid, pid, "name", json_text(name));
    text += ",\n" +
            named("process_sort_index", pid, pid, "sort_index", fmt::format("{}", process.unit.front().value() + 1));
    if (process.unit.size() == 1) text += ",\n" + named("thread_name", pid, pid, "name", json_text("tasks"));
    for (std::size_t seat = 0; process.unit.size() > 1 && seat < process.unit.size(); ++seat)
      text += ",\n" + named("thread_name", pid, track_of(pid, Seat(seat)), "name", json_text(process.names[seat]));
  }
  return text;
}

std::string TraceRecorder::text_of(const Event& event) const {
  static constexpr std::array kNames{"fill",  "judge", "combine", "sink",      "start", "wait",
                                     "infer", "train", "write",   "in flight", "said",  "ended"};
  const bool instant = event.kind == Kind::said || event.kind == Kind::ended;
  const bool counter = event.kind == Kind::in_flight;
  const char* name = kNames[static_cast<std::size_t>(event.kind)];
  // An instant event of the coordinator is drawn across all tracks, one of a worker across its own.
  std::string shape = fmt::format(R"("ph":"X","dur":{})", microseconds(event.end - event.begin));
  if (counter) shape = R"("ph":"C")";
  if (instant) shape = fmt::format(R"("ph":"i","s":"{}")", event.kind == Kind::said ? 'g' : 'p');
  return fmt::format(R"({{"name":{},"cat":"tutti",{},"ts":{},"pid":{},"tid":{},"args":{{{}}}}})",
                     json_text(instant ? texts_.at(event.text) : name), shape, microseconds(event.begin), event.pid,
                     event.tid, arguments(event));
}

std::string TraceRecorder::arguments(const Event& event) const {
  const std::string segment = fmt::format(R"("segment":{},"images":{})", event.segment, event.count);
  switch (event.kind) {
    case Kind::infer:
    case Kind::train:
      return fmt::format(R"({},"queued_us":{},"noticed_us":{})", segment, microseconds(event.queued),
                         microseconds(event.noticed));
    case Kind::in_flight:
      return fmt::format(R"("segments":{})", event.count);
    case Kind::ended:
      return fmt::format(R"("unanswered":{})", event.count);
    case Kind::start:
    case Kind::said:
      return {};
    default:
      return segment;
  }
}

}  // namespace tutti
