// The mistakes in a configuration, collected so that the user can fix all of them at once. Not a log.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::config {

/// Where something was written. Line 0: not in a file; `file` then says where instead ("command line: 'seed=3'").
struct SourcePosition {
  std::string file;
  int line = 0;    ///< counted from 1
  int column = 0;  ///< counted from 1, in bytes

  /// "ensemble.yaml:3:7", or `file` alone.
  std::string text() const;
};

/// The most violations to list; further ones are only counted.
constexpr std::size_t kMaxListed = 100;

struct ReadMap;

/// A list of violations with their positions. Use it on one thread.
class Violations {
 public:
  Violations() = default;
  /// Those who read also note in `maps` which keys they look for.
  explicit Violations(std::deque<ReadMap>& maps) : maps_(&maps) {}
  /// Null as a rule.
  std::deque<ReadMap>* maps() const noexcept { return maps_; }

  void add(const SourcePosition& position, std::string text);
  /// Adds those of `other`, all at `position` instead of their own positions.
  void add_all(const Violations& other, const SourcePosition& position);
  std::size_t count() const noexcept { return all_.size(); }
  /// Whether there is one at this position already.
  bool has(const SourcePosition& position) const;

  /// Returns if there are none. Otherwise throws Error(usage): the violation itself if it is the only one, else "cannot
  /// use <file>: N problems" with one line each. The violations of one file are in its order, and those of the command
  /// line come last; after kMaxListed follows "and M more".
  void raise(std::string_view file) const;

 private:
  struct Violation {
    SourcePosition position;
    std::size_t file_rank;  ///< order in which the files first appeared
    std::string text;
  };
  std::vector<Violation> all_;
  std::deque<ReadMap>* maps_ = nullptr;
};

}  // namespace tutti::config
