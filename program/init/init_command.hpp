// `tutti init models photos`: writes a description of what it finds there.
#pragma once

#include "program/commands.hpp"
#include "program/interruption.hpp"

namespace tutti::program {

/// Writes the file, and says what it found and what it did not. Throws Error.
void init(CommandLine line, Interruption& interruption);

}  // namespace tutti::program
