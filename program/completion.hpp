// Completion of the command line by a shell: a script that is made of the commands and options that CLI11 knows.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace tutti::program {

/// The shells, in the order in which messages list them.
inline constexpr const char* kShells[] = {"bash", "zsh", "fish"};

/// The script for one of them. Commands and options without a description are left out. What an option takes follows
/// from the name of its type: files if that speaks of a FILE, a FOLDER or a PATH; one of the words in "{a,b}" or "a|b";
/// anything else otherwise.
std::string completion_script(const CLI::App& app, std::string_view shell);

}  // namespace tutti::program
