// What happened to a worker that ended, and its text: the line for the user, and the error if the pool ends because of
// it. The supervisor decides what to do about it.
#pragma once

#include <cstdint>
#include <string>

#include <tutti/error.hpp>

namespace tutti {

struct WorkerFault {
  enum class Kind {
    died,         ///< by itself; `text`: "killed by SIGKILL", "exited with code 7"
    failed,       ///< with a message: `text`
    not_started,  ///< there was no process; `text`, `detail`: the system's message
    late,         ///< killed: not ready after `seconds`
    hung,         ///< killed: no progress for `seconds`
    lied,         ///< killed: it broke the protocol by `text`
  };
  Kind kind = Kind::died;
  std::string place;  ///< "cnn-2 on cpu:1"
  std::string where;  ///< " on segment 17", " while starting", or nothing
  std::string text;
  std::string detail;
  std::string hint;  ///< from the worker or the system
  double seconds = 0;
  bool commanded = false;      ///< hung: in a command, not in a batch
  bool usage = false;          ///< the configuration is wrong, so a replacement would not help
  bool out_of_memory = false;  ///< the kernel killed it because there was not enough memory
  bool stuck = false;          ///< it was killed, but has not ended
};

/// "cnn-2 on cpu:1 died: killed by SIGKILL on segment 17"; always one line, even if the texts hold several.
std::string line_of(const WorkerFault& fault);
/// "cnn-2 on cpu:1 died on segment 17: it was killed by SIGKILL", with the worker's own message as detail and hint.
/// `advice` follows the hint.
Error error_of(const WorkerFault& fault, const std::string& advice = {});
/// What the user can do about it, or nothing.
std::string hint_of(const WorkerFault& fault);

/// "segment 17 (images 8500 to 8999)"
std::string segment_text(std::uint64_t index, std::uint32_t segment_images, std::uint32_t images);
/// "1 segment", "3 segments"
std::string segments_text(std::size_t count);

}  // namespace tutti
