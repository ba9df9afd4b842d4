// Whether a LibTorch is the one that the plugins were built with. LibTorch promises no ABI, so that the loader says of
// another one which symbol is missing, or nothing at all.
#pragma once

#include <filesystem>
#include <string_view>

namespace tutti::worker {

/// `libraries`: the folder of libtorch_cpu.so, in a wheel's torch/ folder or an unpacked zip. Throws Error(failed) with
/// both versions if it says that it is not `wanted`. Returns if the version is not told, or if `wanted` is empty.
void check_libtorch_version(const std::filesystem::path& libraries, std::string_view wanted);

}  // namespace tutti::worker
