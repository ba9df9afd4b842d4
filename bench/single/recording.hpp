// Work of a device that is recorded once and handed over again as a whole: what a CUDA graph is. Nothing of CUDA or
// LibTorch stands here: graphs are recorded by a plugin (bench/single/cuda), and in the tests by one that computes
// again.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

namespace tutti::bench {

class Recording {
 public:
  virtual ~Recording() = default;
  /// Hands the work over to the calling thread's current stream, and does not wait for it.
  virtual void replay() = 0;
};

/// Calls `work` on the calling thread, whose current stream is not the device's default one. What `work` hands over to
/// that stream, and to streams that wait for it and that it waits for at the end, is recorded and not computed.
///
/// The same addresses are read and written at each replay: tensors that `work` did not make itself must outlive the
/// recording, and `work` must have run before, so that nothing is loaded or chosen while it is recorded. `work` may be
/// kept. Throws what `work` throws, or what the device says.
using Recorder = std::function<std::unique_ptr<Recording>(const std::function<void()>& work)>;

/// What a plugin shows of itself, by a function of the type RecorderEntry and the name kRecorderEntry.
struct RecorderPlugin {
  const char* build_id;
  std::unique_ptr<Recording> (*record)(const std::function<void()>& work);
};
using RecorderEntry = const RecorderPlugin* (*)();
inline constexpr const char* kRecorderEntry = "tutti_recorder";
inline constexpr std::string_view kCudaRecorder = "libtutti-bench-cuda.so";

/// Opens the plugin `file`, which lies where find_plugin() looks for one of a program in `folder`; it stays open.
/// Throws Error(failed) if it is missing, cannot be opened, or is of another build.
Recorder open_recorder(const std::filesystem::path& folder, std::string_view file);

}  // namespace tutti::bench
