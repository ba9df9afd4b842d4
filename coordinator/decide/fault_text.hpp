// What is said of a worker that came to its end: the line for the user, and the error where the pool ends with it.
// Values and their text; what is done about it is decided by the supervisor.
#pragma once

#include <cstdint>
#include <string>

#include <tutti/error.hpp>

namespace tutti {

struct WorkerFault {
  enum class Kind {
    died,         ///< by itself; `text`: "killed by SIGKILL", "exited with code 7"
    failed,       ///< with words of its own: `text`
    not_started,  ///< there was no process; `text`, `detail`: the system's words
    late,         ///< killed: not ready after `seconds`
    hung,         ///< killed: no progress for `seconds`
    lied,         ///< killed: it broke the protocol by `text`
  };
  Kind kind = Kind::died;
  std::string place;  ///< "cnn-2 on cpu:1"
  std::string where;  ///< " on segment 17", " while starting", or nothing
  std::string text;
  std::string detail;
  std::string hint;  ///< of the worker or the system
  double seconds = 0;
  bool usage = false;          ///< the configuration is at fault: nothing is gained by a replacement
  bool out_of_memory = false;  ///< the kernel killed it for want of memory
  bool stuck = false;          ///< it was killed, and does not end
};

/// "cnn-2 on cpu:1 died: killed by SIGKILL on segment 17"; one line, whatever the texts hold.
std::string line_of(const WorkerFault& fault);
/// "cnn-2 on cpu:1 died on segment 17: it was killed by SIGKILL", with what the worker itself said as detail and hint.
/// `advice` comes after the hint.
Error error_of(const WorkerFault& fault, const std::string& advice = {});
/// What can be done about it, or nothing.
std::string hint_of(const WorkerFault& fault);

/// "segment 17 (images 8500 to 8999)"
std::string segment_text(std::uint64_t index, std::uint32_t segment_images, std::uint32_t images);
/// "1 segment", "3 segments"
std::string segments_text(std::size_t count);

}  // namespace tutti
