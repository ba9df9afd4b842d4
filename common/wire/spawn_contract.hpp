// What coordinator and worker agree on about the start of a worker: descriptor numbers, arguments, exit codes, and
// where its plugins are.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tutti {

/// The descriptors that a worker inherits besides 0, 1 and 2; everything from kFirstForeignFd on is closed.
enum WorkerFd : int {
  kControlFd = 3,         ///< SEQPACKET socket
  kArenaFd = 4,           ///< memfd; sealed against writing
  kChannelFd = 5,         ///< memfd of this generation; gets its size with the message `start`
  kTaskBellFd = 6,        ///< eventfd: the coordinator wakes the worker
  kCompletionBellFd = 7,  ///< eventfd: the worker wakes the coordinator
  kFirstForeignFd = 8,
};

/// Exit codes of a worker. It sends the reasons as text on the control socket; these are for other observers.
enum WorkerExit : int {
  kLeft = 0,      ///< told to stop, or the coordinator is gone
  kFailed = 1,    ///< a Failure was sent
  kUsage = 2,     ///< started by hand, or with arguments that make no sense
  kOrphaned = 3,  ///< the coordinator died before the worker could tie itself to it
};

/// The worker's arguments.
struct LaunchOptions {
  std::string member;           ///< for process listings and messages
  int parent = 0;               ///< pid of the coordinator
  std::vector<int> cores = {};  ///< operating system numbers; empty: inherit
  bool debug = false;           ///< wait for a debugger before loading
  bool core_files = false;      ///< a crash may leave a core file, as far as the inherited limit allows
  bool fork_server = false;     ///< hosts no member, but forks the workers that do
  bool preload = false;         ///< the fork server opens LibTorch's plugin first
  std::string python = {};      ///< the interpreter that the process is to become; empty: none
};

/// A request to the fork server is one message: the arguments of a worker, and all its descriptors (0 to
/// kFirstForeignFd - 1) as SCM_RIGHTS. The answer, sent by the worker itself, is its pid in digits; the negative errno
/// if the fork server could not make one. The worker stays in the fork server's process group until the coordinator has
/// read the answer and moves it into a group of its own: see coordinator/process/fork_server.hpp.
inline constexpr std::size_t kMaxForkRequest = 16 * 1024;
std::string join_fork_request(const std::vector<std::string>& arguments);
std::vector<std::string> split_fork_request(std::string_view text);

/// The files of the backends that a worker opens when its member needs them.
inline constexpr std::string_view kTorchPlugin = "libtutti-torch.so";
inline constexpr std::string_view kCudaPlugin = "libtutti-cuda.so";
inline constexpr std::string_view kOnnxPlugin = "libtutti-onnx.so";
inline constexpr std::string_view kOpenvinoPlugin = "libtutti-openvino.so";
/// Not a backend that a worker opens: a Python interpreter does, and becomes the worker.
inline constexpr std::string_view kPythonLibrary = "libtutti-python.so";
/// The script that an interpreter runs for this, in a folder of modules for it.
inline constexpr std::string_view kPythonScript = "tutti-python/tutti_worker.py";
/// The folder with the empty libtorch.so that is to be found before LibTorch's own.
inline constexpr std::string_view kTorchStandIn = "torch-stand-in";
/// The path of a worker's plugin: in the worker's folder, or in ../lib of it as in a build tree; empty if not found.
std::filesystem::path find_plugin(const std::filesystem::path& worker_folder, std::string_view file);

/// The folder with the libraries of the LibTorch that TUTTI_LIBTORCH names: its `lib`, or itself if it holds them (both
/// ways of naming a LibTorch are common). Empty if the variable is not set.
std::filesystem::path chosen_libtorch();
/// How a user finds and names a LibTorch, as the hint of an error.
inline constexpr std::string_view kLibtorchHint =
    "name the LibTorch that Tutti was built with; that of Python's torch: "
    "export TUTTI_LIBTORCH=$(python3 -c 'import torch; print(torch.__path__[0])')";

std::vector<std::string> to_arguments(const LaunchOptions& options);
/// Throws Error(usage) with the argument that is wrong.
LaunchOptions parse_arguments(const std::vector<std::string_view>& arguments);

}  // namespace tutti
