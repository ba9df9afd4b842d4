// Device work that is recorded once and launched again as a whole, like a CUDA graph. This header needs neither CUDA
// nor LibTorch: a plugin records graphs (bench/single/cuda), and the tests use one that computes again.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

namespace tutti::bench {

class Recording {
 public:
  virtual ~Recording() = default;
  /// Launches the work on the calling thread's current stream, and does not wait for it.
  virtual void replay() = 0;
};

/// Calls `work` on the calling thread, whose current stream is not the device's default one. Work on that stream, and
/// on streams that wait for it and that it waits for at the end, is recorded and not computed.
///
/// The same addresses are read and written at each replay: tensors that `work` did not make itself must outlive the
/// recording, and `work` must have run before, so that nothing is loaded or chosen while it is recorded. `work` may be
/// kept. Throws what `work` throws, or an error of the device.
using Recorder = std::function<std::unique_ptr<Recording>(const std::function<void()>& work)>;

/// What a plugin exports, by a function of the type RecorderEntry and the name kRecorderEntry.
struct RecorderPlugin {
  const char* build_id;
  std::unique_ptr<Recording> (*record)(const std::function<void()>& work);
};
using RecorderEntry = const RecorderPlugin* (*)();
inline constexpr const char* kRecorderEntry = "tutti_recorder";
inline constexpr std::string_view kCudaRecorder = "libtutti-bench-cuda.so";

/// Opens the plugin `file`, which find_plugin() finds for a program in `folder`; it stays open.
/// Throws Error(failed) if it is missing, cannot be opened, or is of another build.
Recorder open_recorder(const std::filesystem::path& folder, std::string_view file);

}  // namespace tutti::bench
