// `tutti merge`: the weights of members become one file.
#pragma once

#include "program/commands.hpp"

namespace tutti::program {

/// Writes <output>/merged.safetensors, or the folder <output>/merged where the first member is one as Hugging Face
/// writes it, and <output>/merge.json, which says what was done. Where there are tasks, `tutti evaluate` follows, with
/// the merged model, into the same folder, and draws <output>/tasks.svg. Else workers are started for a greedy soup
/// only. Throws Error.
Outcome merge(const CommandLine& line, Interruption& interruption);

}  // namespace tutti::program
