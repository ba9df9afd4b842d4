// Reads an ensemble's YAML into an EnsembleSpec. It looks only at the configuration: the code that uses a file, a
// device or memory checks whether it exists.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/spec.hpp"
#include "config/tree.hpp"

namespace tutti::config {

/// Bounds of what a user may ask for. Their product with kMaxImageElements and the size of a float fits into 64 bits,
/// so the sums of `tutti plan` cannot overflow.
constexpr std::uint32_t kMaxSegmentImages = 1U << 24;
constexpr std::uint32_t kMaxSlots = 256;
constexpr std::uint32_t kMaxThreads = 1024;

/// What the command line adds to the file.
struct Overrides {
  /// `key=value`, applied after the file: "members.0.weight=2". The value is YAML.
  std::vector<std::string> assignments;
  /// From --assign: "cnn-0=cpu:1", or several separated by commas; a member may be given by its rank. Each member at
  /// most once.
  std::vector<std::string> devices;
};

/// Reads `file`, its includes, and the overrides. Throws Error(usage) whose text lists every violation, one per line,
/// as `file:line:column: what is wrong`, with the nearest valid key for an unknown one. A key that is null counts as
/// absent: it restores a default that an included file changed.
EnsembleSpec load_file(const std::filesystem::path& file, const Overrides& overrides = {});

/// The same for text; `name` is the name of the file in messages. `folder` (empty: the current one) is where relative
/// includes start, and what `${here}` stands for.
EnsembleSpec load_text(std::string_view yaml, std::string_view name, const Overrides& overrides = {},
                       const std::filesystem::path& folder = {});

/// Reads a description that is written out: without includes, `defaults` and other abbreviations. Mistakes become
/// violations. `effective_yaml` stays empty.
EnsembleSpec read_spec(const Tree& root, const Overrides& overrides, Violations& violations);

/// What the reader leaves for the end: `folder` is that of the file, where modules of Python are looked for, and
/// `effective_yaml` is written.
void complete(EnsembleSpec& spec, const std::filesystem::path& folder);

/// What `key=value` arguments say about predictions that exist already: `combine` and `on_nan`. The rest has its
/// defaults, and there are no members. Throws Error(usage) like load_file().
EnsembleSpec load_combination(const std::vector<std::string>& assignments);

}  // namespace tutti::config
