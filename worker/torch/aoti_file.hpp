// A package of AOTInductor (.pt2) as a file: a zip with a shared library, its source and its metadata. Read and judged
// here, so that nothing of it runs where it cannot; not run here.
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

/// What a package takes, as far as it says.
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

/// Throws Error(usage) that names the file: it is missing, is no package or one without a library for this program; was
/// made for another device, platform, machine, instruction set or version of torch; takes another kind of input; or
/// does not say what batches it takes. `torch_version`: "2.11.0", of this program.
AotiFile read_aoti_file(const std::filesystem::path& path, std::string_view torch_version);

/// What a worker learns from the checks that AOTInductor writes into the source of each package; nothing if there
/// are none.
std::optional<AotiInput> input_of_source(std::string_view source);

/// The instruction sets named in `isa` ("AVX512 AVX512_VNNI") that a processor with these flags of /proc/cpuinfo lacks;
/// empty: none. Names that are not known are passed over.
std::string missing_instructions(std::string_view isa, std::string_view flags);

}  // namespace tutti::worker
