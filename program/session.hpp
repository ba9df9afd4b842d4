// A Session of a command line: the user sees its progress and its results on the terminal, and interrupts it.
#pragma once

#include <filesystem>
#include <string>

#include "evaluation/run/session.hpp"
#include "program/commands.hpp"

namespace tutti::program {

/// Reads the description that the command line names. Throws Error(usage), also if it names something else: `command`
/// takes no models.
config::EnsembleSpec load(const CommandLine& line, const std::string& command);

struct Loaded {
  config::EnsembleSpec spec;
  std::string to_save;  ///< the YAML that --save asks for; empty: it asks for none
};

/// The same for the commands that also take models: then it is the description that they stand for. Throws if it could
/// not be saved, but does not save it: a command that fails must not leave a file in the way of the corrected one.
Loaded load_or_describe(const CommandLine& line);

/// Once the command has accepted the models and the images. Throws Error.
void save_if_asked(const Loaded& loaded, const std::filesystem::path& file);

/// The user of the program; all that is given outlives it. What was `loaded` is saved when the prediction begins, if
/// the command line asks for it.
class User final : public RunWatcher {
 public:
  User(const CommandLine& line, Interruption& interruption, const Loaded* loaded = nullptr)
      : line_(line), interruption_(interruption), loaded_(loaded) {}

  std::shared_ptr<void> guard(Ensemble& ensemble) override;
  std::unique_ptr<ShownImages> show_images(const Ensemble& ensemble, const ShownWork& work) override;
  void keep(const std::string& detail) override;
  std::string interrupted_by() const override;
  void reported(const std::filesystem::path& report) override;
  std::string resume_option() const override { return "--resume"; }
  std::string resume_command(const std::filesystem::path& folder, bool named) const override;

 private:
  const CommandLine& line_;
  Interruption& interruption_;
  const Loaded* loaded_;  ///< null: nothing is to be saved
};

/// How a command of this line is started.
SessionSetup setup_of(const std::string& command, const CommandLine& line, bool training = false);

/// Prints the table of results, what went wrong, and what is missing, followed by `advice`.
Outcome conclude(const Session& session, const CommandLine& line, const std::string& table, const std::string& advice);

}  // namespace tutti::program
