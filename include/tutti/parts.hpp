// One ensemble in several places: the same description on other machines, its members split over them, and their
// predictions combined elsewhere, with the bytes of one Ensemble. Nothing here starts a worker or speaks over a
// network; how samples and predictions travel is up to the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <tutti/error.hpp>
#include <tutti/predictions.hpp>
#include <tutti/tensor.hpp>

namespace tutti {

class Spec;  // ensemble.hpp

/// The names of the members, in rank order.
TUTTI_API std::vector<std::string> member_names(const Spec& spec);

/// The tensors of a sample, as Ensemble::inputs() gives them; starts nothing. Throws as the constructor of Ensemble.
TUTTI_API std::vector<NamedLayout> sample_of(const Spec& spec);

/// How an Ensemble of this description cuts samples that come through predict() or submit(): the images of a segment.
/// Samples that are handed over in several calls get the bytes of one call if every call but the last has a multiple of
/// these. Throws Error(usage) if it cannot be known here (as the constructor of Ensemble), and if it may differ from
/// place to place: with `batch_images: auto`, and with `tiles`, since segments then consist of tiles.
TUTTI_API std::uint32_t segment_images(const Spec& spec);

/// The description for other places: `segment_images` is the number that segment_images() gives here.
TUTTI_API Spec settled(const Spec& spec);

/// The description of the members with these ranks, in rank order: they predict as in the whole, with the same seeds,
/// segments and batches, and the rule is `none`. Throws Error(usage) if a rank is none or comes twice, or if the
/// members cannot be separated: with a `cascade` or a `quorum`, and of members that are fused.
TUTTI_API Spec part_of(const Spec& spec, std::vector<std::size_t> ranks);

/// Combines the members' own predictions of the same `count` samples, as an Ensemble of this description would: those
/// that its `save_members` gives, or parts of it. `members` are all of them, in any order; they are in the result if
/// the description asks for them. Throws Error(usage) if one is missing, has another count or does not go with the
/// others, and Error(failed) if values are not finite and `on_nan` does not allow it. Any thread.
TUTTI_API Predictions combine(const Spec& spec, std::uint64_t count, std::vector<MemberPredictions> members);

/// What the bytes of its predictions depend on, on this machine, as names and values for people: "processor",
/// "threads of cnn-0", "weights of cnn-0" -> "1234 bytes, crc 89abcdef", "version". Two places whose values are the
/// same predict the same bytes, as far as the members' libraries do; their versions are known only to the workers
/// (MemberStatus::backend). Reads the members' files completely. Throws Error(usage) if one cannot be read, or a device
/// does not exist. `worker`: as in Options.
TUTTI_API std::map<std::string, std::string> fingerprint(const Spec& spec, const std::filesystem::path& worker = {});

}  // namespace tutti
