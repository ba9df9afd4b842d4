// What the bytes of a run's answers depend on, as names and values that can be written down, compared, and shown to a
// person where they differ. What cannot change a byte (devices' slots, deadlines, the output folder, what is done about
// failures) is left out on purpose.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"
#include "coordinator/plan/plan.hpp"

namespace tutti {

/// "members.1.weight" -> "2", "weights of cnn-1" -> "1234 bytes, crc 89abcdef", "processor" -> "...".
using Fingerprint = std::map<std::string, std::string>;

/// All that is known before a worker is started. Reads the members' files. Throws Error(usage) where one cannot be
/// read.
Fingerprint fingerprint_of(const config::EnsembleSpec& spec, const Plan& plan, const Source& source);

/// Adds what only the workers know: with which library each member computes.
void add_backends(Fingerprint& fingerprint, const Status& status);

/// Adds a batch that `batch_images: auto` chose: "batch of cnn-0" -> "32".
void add_batch(Fingerprint& fingerprint, const std::string& member, std::uint32_t batch_images);
/// Those of all members; nothing where they are numbers of the description.
void add_batches(Fingerprint& fingerprint, const Status& status);
/// What add_batches() added, in the order of these members; empty where that is not there for all, or is no number from
/// 1 to `segment_images`.
std::vector<std::uint32_t> batches_of(const Fingerprint& fingerprint, const std::vector<config::MemberSpec>& members,
                                      std::uint32_t segment_images);

/// One line per value that is another in `now`, or is missing in one of them: "threads of a: was 2, now 4". Values that
/// add_backends() brings count only where both have them.
std::vector<std::string> differences(const Fingerprint& was, const Fingerprint& now);

/// The processor and those of its instructions that numerical libraries choose their kernels by, out of the text of
/// /proc/cpuinfo.
Fingerprint processor_of(const std::string& cpuinfo);

}  // namespace tutti
