// Warnings about descriptions that do something else than their author may think: keys that this command ignores,
// labels that are probably not the members' classes, outputs that are probably not logits. Nothing here is an error.
#pragma once

#include <string>
#include <vector>

#include <tutti/images.hpp>
#include <tutti/status.hpp>

#include "config/spec.hpp"

namespace tutti {

/// "'weight' of member 'a' ...": what is written, and ignored by these rules. Empty: nothing is.
std::vector<std::string> ignored_weights(const config::EnsembleSpec& spec,
                                         const std::vector<config::CombineSpec>& rules);

/// What `tutti run` does not use: `tasks`.
std::vector<std::string> ignored_by_run(const config::EnsembleSpec& spec);

/// Once the models are loaded: whether labels of `source` that have names (folders) can be the members' classes, and
/// whether the numbers of a member whose `output` is not written can be logits.
std::vector<std::string> doubts(const config::EnsembleSpec& spec, const Source& source,
                                const std::vector<MemberStatus>& members);

/// Logs each as a warning.
void warn_of(const std::vector<std::string>& texts);

}  // namespace tutti
