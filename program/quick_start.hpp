// `tutti run a.pt b.pt --images photos`: a description of models that are named on the command line, without a file.
#pragma once

#include <filesystem>
#include <string>

#include "program/commands.hpp"

namespace tutti::program {

/// Whether the command line names models (.pt, .pt2, .onnx) instead of a description.
bool names_models(const CommandLine& line);

/// The description that such a command line stands for, as YAML, with its overrides, which `line` no longer has then.
/// Throws Error(usage) if there are no images, a file is no model, or a word is not known.
std::string description_of_models(CommandLine& line);

/// Writes it to a file that does not exist yet. Throws Error(usage) if it does, or Error(failed).
void save_description(const std::string& yaml, const std::filesystem::path& file);

/// Throws Error(usage) if an option for models is given although the command line names a description.
void refuse_options_of_models(const CommandLine& line);

}  // namespace tutti::program
