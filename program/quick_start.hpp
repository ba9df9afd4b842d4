// `tutti run a.pt b.pt --images photos`: a description of models that are named on the command line, without a file.
// `tutti init` writes what it finds with the same parts.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/shorthand.hpp"
#include "config/tree.hpp"
#include "program/commands.hpp"

namespace tutti::program {

/// Whether a file is called as models are whose ending tells the kind: .pt, .pt2, .onnx, and the
/// others that OpenVINO reads.
bool is_model(const std::filesystem::path& file);

/// Throws Error(usage) if that is a folder, or a file of weights by its name: neither a description nor a model. What
/// to do depends on whether the command takes models.
void refuse_folder_or_weights(const std::filesystem::path& file, bool takes_models);

/// The same, also for a model: `command` takes descriptions only.
void refuse_models(const std::filesystem::path& file, const std::string& command);

/// Whether the command line names models instead of a description.
bool names_models(const CommandLine& line);

/// {kind: torchscript, path: a.pt}
config::Tree model_of(const config::FileMember& member);
/// {dataset: folder, path: photos}, or of an .npy file.
config::Tree input_of(const std::filesystem::path& images);
/// {rule: mean}
config::Tree combine_by(const std::string& rule);

/// Those that combine, as they are written.
std::vector<std::string> rule_names();

/// Throws Error(usage) if --preprocess or --rule is a word that does not exist.
void check_words(const CommandLine& line);

/// The name of that description in messages.
constexpr const char* kDescriptionOfModels = "the models on the command line";

/// The description that such a command line stands for, as YAML, with its overrides and its --assign, which `line` no
/// longer has then. Throws Error(usage) if there are no images, a file is not a model or is named twice, or a word is
/// not known; mistakes in what the command line adds are named as it says them.
std::string description_of_models(CommandLine& line);

/// Throws Error(usage) if the file exists; `hint` says what to do then.
void refuse_existing(const std::filesystem::path& file, const std::string& hint);

/// Throws Error if a file cannot be written there: its folder does not exist or takes no files, or it is a folder
/// itself.
void check_writable(const std::filesystem::path& file);

/// Throws Error if save_description() would: the file exists, or its folder does not, or takes no files.
void check_save(const std::filesystem::path& file);

/// Writes it to a file that does not exist yet. Throws Error(usage) if it does, or Error(failed).
void save_description(const std::string& yaml, const std::filesystem::path& file);

/// Throws Error(usage) if an option for models is given although the command line names a description. With --measure,
/// --save is not one.
void refuse_options_of_models(const CommandLine& line);

}  // namespace tutti::program
