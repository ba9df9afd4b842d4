// What is wrong with a configuration, collected: the user mends everything in one go. Not a log.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::config {

/// Where something was written. Line 0: not in a file; `file` then says where instead ("command line: 'seed=3'").
struct Place {
  std::string file;
  int line = 0;    ///< counted from 1
  int column = 0;  ///< counted from 1, in bytes

  /// "ensemble.yaml:3:7", or `file` alone.
  std::string text() const;
};

/// So many are listed; more are counted only.
constexpr std::size_t kMaxListed = 100;

/// A list of violations with their places. One thread.
class Violations {
 public:
  void add(const Place& place, std::string text);
  /// Those of `other`, all at `place` instead of their own.
  void add_all(const Violations& other, const Place& place);
  std::size_t count() const noexcept { return all_.size(); }

  /// Nothing where there are none. Else throws Error(usage): the violation itself where it is the only one, otherwise
  /// "cannot use <file>: N problems" with one line each, those of one file in its order, those of the command line
  /// last; beyond kMaxListed "and M more".
  void raise(std::string_view file) const;

 private:
  struct Violation {
    Place place;
    std::size_t file_rank;  ///< order in which the files first appeared
    std::string text;
  };
  std::vector<Violation> all_;
};

}  // namespace tutti::config
