// What the log says about a source.
#include "common/counted.hpp"
#include "common/log.hpp"
#include "coordinator/plan/input.hpp"
#include "images/planes.hpp"

namespace tutti {

void say_skipped(const Source& source) {
  const std::vector<std::string> skipped = source.skipped();
  if (!skipped.empty())
    log::warning("left out {} of {} that cannot be read or decoded, as 'on_broken: skip' says; the first: {}",
                 counted(skipped.size(), "file"), source.name(), skipped.front());
  if (source.count() == 0)
    log::warning("{} has no images, so there is nothing to predict; see 'limit' and 'count' of its 'input'",
                 source.name());
  for (const std::string& remark : source.remarks()) log::warning("{}: {}", source.name(), remark);
}

void say_unturned(Source& source) {
  auto* const decoding = dynamic_cast<images::PlaneSource*>(&source);
  const std::uint64_t pictures = decoding != nullptr ? decoding->take_unturned() : 0;
  if (pictures > 0)
    log::warning("{} of {} {} an EXIF orientation, which was not applied ('orientation: exif' turns them)",
                 counted(pictures, "picture"), source.name(), pictures == 1 ? "has" : "have");
}

}  // namespace tutti
