// A file without a name in which a training worker saves its state for its replacement. Coordinator and workers share
// it by its descriptor; it disappears with the last of them, however they end.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include "common/ids.hpp"
#include "common/unique_fd.hpp"

namespace tutti {

/// An empty file, close-on-exec: on disk below $TMPDIR or /tmp; in memory if that folder does not support files without
/// a name. Throws Error(failed).
UniqueFd make_checkpoint_file();

/// The two files of each member that is trained. They are made when they are first needed, and stay while its processes
/// come and go.
class CheckpointFiles {
 public:
  /// Throws Error(failed).
  std::array<int, 2> of(Rank rank);
  /// A process that does not end may write to them at any time: those but the valid one, if there is one, are replaced
  /// before anybody gets them again.
  void leave_behind(Rank rank, std::optional<std::uint32_t> valid);

 private:
  std::map<Rank, std::array<UniqueFd, 2>> files_;
};

}  // namespace tutti
