// What the bytes of a run's results depend on, as names and values that can be saved, compared, and shown to the user
// if they differ. What cannot change a byte (slots, deadlines, the run folder, the reaction to failures) is left out
// on purpose.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

/// "members.1.weight" -> "2", "weights of cnn-1" -> "1234 bytes, crc 89abcdef", "processor" -> "...".
using Fingerprint = std::map<std::string, std::string>;

/// All that is known before a worker is started. Reads the members' files. Throws Error(usage) if one cannot be
/// read.
Fingerprint fingerprint_of(const config::EnsembleSpec& spec, const Plan& plan, const Source& source);
/// The same without the images, of an ensemble whose samples come through the API.
Fingerprint fingerprint_of(const config::EnsembleSpec& spec, const Plan& plan);

/// Adds what only the workers know: the library that each member computes with.
void add_backends(Fingerprint& fingerprint, const Status& status);

/// Adds a batch that `batch_images: auto` chose: "batch of cnn-0" -> "32".
void add_batch(Fingerprint& fingerprint, const std::string& member, std::uint32_t batch_images);
/// Adds those of all members; nothing if the description gives them as numbers.
void add_batches(Fingerprint& fingerprint, const Status& status);
/// What add_batches() added, in the order of these members. Empty if an entry is missing, or is not a number from 1 to
/// `segment_images`.
std::vector<std::uint32_t> batches_of(const Fingerprint& fingerprint, const std::vector<config::MemberSpec>& members,
                                      std::uint32_t segment_images);

/// The description with the form of each member, and the mode of each worker, that a run had, if it leaves a choice:
/// those that it had chosen, or that its own description named. Nothing if one of them is not among those that there
/// are now. Reads files of models as fingerprint_of() does.
std::optional<config::EnsembleSpec> with_noted_forms(const Fingerprint& fingerprint, const config::EnsembleSpec& spec);

/// One line per value that differs, or is missing in one of them: "threads of a: was 2, now 4". Values from
/// add_backends() count only if both have them. Which of several forms a model has does not count: its kind and the
/// content of its files do, however they came to be used.
std::vector<std::string> differences(const Fingerprint& was, const Fingerprint& now);

/// What a file of a member holds, without its path: "1234 bytes, crc 89abcdef". Reads it. Throws Error(usage) that
/// names the member if it cannot be read.
std::string content_text(const std::filesystem::path& file, const std::string& member);

/// The variables of the environment by which the members' libraries choose their kernels: "environment MKL_CBWR" ->
/// "COMPATIBLE". What is in `set`, which workers get in addition, counts before this program's.
Fingerprint kernel_environment(const std::vector<std::pair<std::string, std::string>>& set = {});

/// The processor, and those of its instruction sets by which numerical libraries choose their kernels, from the text of
/// /proc/cpuinfo.
Fingerprint processor_of(const std::string& cpuinfo);
/// The same of this machine.
Fingerprint this_processor();

}  // namespace tutti
