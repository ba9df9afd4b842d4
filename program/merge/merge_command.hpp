// `tutti merge`: merges the weights of members into one file.
#pragma once

#include "program/commands.hpp"

namespace tutti::program {

/// Writes <output>/merged.safetensors, or the folder <output>/merged if the first member is a Hugging Face folder, and
/// <output>/merge.json, which describes the merge. If there are tasks, `tutti evaluate` follows, with the merged model,
/// into the same folder, and draws <output>/tasks.svg. Otherwise workers are started only for a greedy soup or to
/// estimate statistics. Throws Error.
Outcome merge(const CommandLine& line, Interruption& interruption);

}  // namespace tutti::program
