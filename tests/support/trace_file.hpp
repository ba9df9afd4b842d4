// Reads a file in Chrome's trace event format, and says what every trace of ours must be. For tests only.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/atomic_file.hpp"
#include "common/json.hpp"

namespace tutti::test {

struct TraceEvent {
  std::string phase;
  std::string name;
  int pid = 0;
  int tid = 0;
  double begin = 0;  ///< microseconds
  double end = 0;
  json::object args;

  double number(const char* key) const { return args.at(key).to_number<double>(); }
  std::uint64_t segment() const { return args.at("segment").to_number<std::uint64_t>(); }
};

class TraceFile {
 public:
  explicit TraceFile(const std::filesystem::path& path) : file_(parse_json(read_text(path, "a trace"), "the trace")) {
    for (const json::value& value : file_.at("traceEvents").as_array()) {
      const json::object& event = value.as_object();
      TraceEvent read;
      read.phase = event.at("ph").as_string().c_str();
      read.name = event.at("name").as_string().c_str();
      read.pid = event.at("pid").to_number<int>();
      read.tid = event.at("tid").to_number<int>();
      read.args = event.at("args").as_object();
      if (read.phase != "M") read.begin = read.end = event.at("ts").to_number<double>();
      if (read.phase == "X") read.end += event.at("dur").to_number<double>();
      if (read.phase == "M" && read.name == "process_name") names_[read.pid] = read.args.at("name").as_string().c_str();
      if (read.phase == "M" && read.name == "thread_name")
        threads_[read.tid] = read.args.at("name").as_string().c_str();
      if (read.phase == "M" && read.name == "process_sort_index")
        order_[read.pid] = read.args.at("sort_index").to_number<int>();
      events_.push_back(std::move(read));
    }
  }

  const json::value& about() const { return file_.at("otherData"); }
  const std::map<int, std::string>& names() const { return names_; }  ///< of processes, by pid
  const std::map<int, std::string>& threads() const { return threads_; }
  const std::map<int, int>& order() const { return order_; }
  /// The process of this name; 0: there is none.
  int pid_of(const std::string& name) const {
    for (const auto& [pid, known] : names_)
      if (known == name) return pid;
    return 0;
  }
  /// Of this name, in the order of their beginnings; of one process if `pid` is not 0.
  std::vector<TraceEvent> events(const std::string& name, int pid = 0) const {
    std::vector<TraceEvent> found;
    for (const TraceEvent& event : events_)
      if (event.phase != "M" && event.name == name && (pid == 0 || event.pid == pid)) found.push_back(event);
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
    return found;
  }
  /// The names of the instant events.
  std::vector<std::string> instants() const {
    std::vector<std::string> found;
    for (const TraceEvent& event : events_)
      if (event.phase == "i") found.push_back(event.name);
    return found;
  }

  /// Every track has a name, and no slice of it begins before the one before has ended.
  void check_tracks() const {
    std::map<std::pair<int, int>, std::vector<std::pair<double, double>>> tracks;
    for (const TraceEvent& event : events_) {
      if (event.phase == "M") continue;
      CHECK(names_.contains(event.pid));
      CHECK(threads_.contains(event.tid));
      CHECK(order_.contains(event.pid));
      if (event.phase == "X") tracks[{event.pid, event.tid}].emplace_back(event.begin, event.end);
    }
    std::size_t overlaps = 0;
    for (auto& [track, slices] : tracks) {
      std::sort(slices.begin(), slices.end());
      for (std::size_t i = 1; i < slices.size(); ++i) overlaps += slices[i].first < slices[i - 1].second ? 1 : 0;
      for (const auto& [begin, end] : slices) overlaps += end < begin ? 1 : 0;
    }
    CHECK(overlaps == 0);
  }

 private:
  json::value file_;
  std::vector<TraceEvent> events_;
  std::map<int, std::string> names_;
  std::map<int, std::string> threads_;
  std::map<int, int> order_;
};

}  // namespace tutti::test
