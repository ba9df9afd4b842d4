// Names of tensors that were saved through a wrapper around the model: all of them begin with the name that the wrapper
// has for what it wraps.
#pragma once

#include <span>
#include <string>

namespace tutti::merge {

/// "all names begin with 'module.', which torch.nn.DataParallel puts there: save model.module.state_dict()", also for
/// torch.compile ("_orig_mod."). Empty if one of the names does not begin so, or there are none.
std::string wrapper_text(std::span<const std::string> names);

}  // namespace tutti::merge
