// The file of an AOTInductor package (.pt2): a zip with a shared library, its source and its metadata. It is read and
// checked here, before any of its code runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/unique_fd.hpp"

namespace tutti::worker {

/// The input of a package, as far as the package describes it.
struct AotiInput {
  std::int64_t least = 1;  ///< images in a batch; a package for a fixed batch has least == most
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::optional<std::int64_t> channels{}, height{}, width{};
};

struct AotiFile {
  std::string path;
  std::map<std::string, std::string> metadata;
  AotiInput input;
  UniqueFd library;  ///< a memfd with the shared library: it has no name, and ends with the process
};

/// Throws Error(usage) that names the file: it is missing, is not a package, or has no library for this program; was
/// made for another device, platform, machine, instruction set or version of torch; takes another kind of input; or
/// does not say which batch sizes it takes. `torch_version`: "2.11.0", of this program.
AotiFile read_aoti_file(const std::filesystem::path& path, std::string_view torch_version);

/// The input as described by the checks that AOTInductor writes into the source of each package; nothing if there are
/// none.
std::optional<AotiInput> input_of_source(std::string_view source);

/// The instruction sets named in `isa` ("AVX512 AVX512_VNNI") that a processor with these flags of /proc/cpuinfo lacks;
/// empty: none. Unknown names are ignored.
std::string missing_instructions(std::string_view isa, std::string_view flags);

}  // namespace tutti::worker
