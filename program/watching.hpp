// What the user of the program does to work that the libraries do: sees it on the terminal, and interrupts it.
#pragma once

#include <memory>

#include "evaluation/watcher.hpp"
#include "program/interruption.hpp"

namespace tutti::program {

/// While it exists, a signal drains `ensemble`.
std::shared_ptr<void> watch(Interruption& interruption, Ensemble& ensemble);

/// The progress of a pool, on stderr.
std::unique_ptr<ShownImages> shown_on_terminal(const Ensemble& ensemble, const ShownWork& work, bool quiet);

}  // namespace tutti::program
