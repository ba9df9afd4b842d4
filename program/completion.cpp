#include "program/completion.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tutti::program {
namespace {

using Words = std::vector<std::string>;

// ---- what can be typed ---------------------------------------------------------------------------------------------

/// What follows an option, or stands by itself.
struct Value {
  bool taken = false;
  bool files = false;
  Words words{};
  std::string type{};  ///< for people
};

struct Flag {
  std::string letter;  ///< "q"; may be empty
  std::string word;    ///< "quiet"
  std::string text;
  bool repeats = false;
  Value value;

  /// "-q", "--quiet"
  Words spellings() const {
    Words all;
    if (!letter.empty()) all.push_back("-" + letter);
    all.push_back("--" + word);
    return all;
  }
};

struct Command {
  std::string name;
  std::string text;
  std::vector<Flag> flags;
  Value positional;
};

Words split(std::string_view text, char separator) {
  Words words;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

Value value_of(const CLI::Option& option) {
  Value value;
  value.taken = option.get_items_expected_max() > 0;
  value.type = option.get_type_name();
  for (const char* word : {"FILE", "FOLDER", "PATH"})
    value.files = value.files || value.type.find(word) != value.type.npos;
  const std::size_t open = value.type.find('{');
  const std::size_t close = value.type.find('}');
  if (open != value.type.npos && close != value.type.npos)
    value.words = split(std::string_view(value.type).substr(open + 1, close - open - 1), ',');
  else if (!value.files && value.type.find('|') != value.type.npos)
    value.words = split(value.type, '|');
  if (value.words.empty())
    value.type = value.type.substr(0, value.type.find(':'));
  else
    value.type = "word";
  return value;
}

Command command_of(const CLI::App& app) {
  Command command{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_lnames().empty()) {
      Value value = value_of(*option);
      command.positional.taken = true;
      command.positional.files = command.positional.files || value.files;
      command.positional.words.insert(command.positional.words.end(), value.words.begin(), value.words.end());
      continue;
    }
    const Words& letters = option->get_snames();
    command.flags.push_back({letters.empty() ? "" : letters.front(), option->get_lnames().front(),
                             option->get_description(), option->get_items_expected_max() > 1, value_of(*option)});
  }
  return command;
}

/// The commands, and `help`, which is a word before one of them. `bench` is another program, whose options are not
/// known here.
std::vector<Command> commands_of(const CLI::App& app) {
  std::vector<Command> commands;
  Command help{"help", "describe a command", {}, {.taken = true}};
  for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands.push_back(command_of(*one));
    help.positional.words.push_back(one->get_name());
    if (one->get_name() == "bench") commands.back().positional = {.taken = true, .files = true};
  }
  commands.push_back(std::move(help));
  return commands;
}

/// In single quotes, for a shell of the family of sh.
std::string sh_quoted(std::string_view text) {
  std::string all = "'";
  for (const char letter : text) all += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return all + "'";
}

// ---- bash ----------------------------------------------------------------------------------------------------------

constexpr std::string_view kBashBegin = R"(# Completion of tutti for bash, made by 'tutti completion bash'.
_tutti() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= i
  local flags= words= files=
  # Bash cuts --option=value into three words.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]] && ((COMP_CWORD >= 2)); then
    previous=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then
      command=${COMP_WORDS[i]}
      break
    fi
  done
  case $command in
)";
constexpr std::string_view kBashEnd = R"(  esac
  COMPREPLY=()
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")
  else
    [[ -z $words ]] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    if [[ -n $files ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
    fi
  fi
}
complete -F _tutti tutti
)";

/// Sets what may come: `flags`, `words` and `files`.
std::string bash_value(const Value& value) {
  return fmt::format("words={} files={}", sh_quoted(fmt::format("{}", fmt::join(value.words, " "))),
                     value.files ? "yes" : "");
}

std::string bash_case(std::string_view name, const Command& command) {
  Words flags;
  std::string cases;
  for (const Flag& flag : command.flags) {
    for (const std::string& spelling : flag.spellings()) flags.push_back(spelling);
    if (flag.value.taken)
      cases += fmt::format("        {}) flags= {} ;;\n", fmt::join(flag.spellings(), " | "), bash_value(flag.value));
  }
  std::string text = fmt::format("    {})\n      flags={} {}\n", name,
                                 sh_quoted(fmt::format("{}", fmt::join(flags, " "))), bash_value(command.positional));
  if (!cases.empty()) text += "      case $previous in\n" + cases + "      esac\n";
  return text + "      ;;\n";
}

std::string bash_script(const Command& top, const std::vector<Command>& commands) {
  std::string text(kBashBegin);
  text += bash_case("''", top);
  for (const Command& command : commands) text += bash_case(command.name, command);
  return text + std::string(kBashEnd);
}

// ---- zsh -----------------------------------------------------------------------------------------------------------

/// A part of a specification of _arguments, in which brackets and colons have a meaning.
std::string zsh_text(std::string_view text) {
  std::string all;
  for (const char letter : text) {
    if (std::string_view("[]:\\").find(letter) != std::string_view::npos) all += '\\';
    all += letter;
  }
  return all;
}

std::string zsh_action(const Value& value) {
  if (!value.words.empty()) return fmt::format("({})", fmt::join(value.words, " "));
  return value.files ? "_files" : " ";
}

/// Each spelling excludes both, unless the flag may be repeated.
std::string zsh_flag(const Flag& flag) {
  std::string text;
  for (const std::string& spelling : flag.spellings()) {
    std::string spec = flag.repeats ? "*" : fmt::format("({})", fmt::join(flag.spellings(), " "));
    spec += spelling + (flag.value.taken ? spelling.starts_with("--") ? "=" : "+" : "");
    spec += fmt::format("[{}]", zsh_text(flag.text));
    if (flag.value.taken) spec += fmt::format(":{}:{}", zsh_text(flag.value.type), zsh_action(flag.value));
    text += " \\\n            " + sh_quoted(spec);
  }
  return text;
}

std::string zsh_script(const Command& top, const std::vector<Command>& commands) {
  std::string names;
  std::string cases;
  for (const Command& command : commands) {
    names += fmt::format("    {}\n", sh_quoted(command.name + ":" + zsh_text(command.text)));
    cases += fmt::format("        {})\n          _arguments -S", command.name);
    for (const Flag& flag : command.flags) cases += zsh_flag(flag);
    if (command.positional.taken)
      cases += " \\\n            " + sh_quoted(fmt::format("*:argument:{}", zsh_action(command.positional)));
    cases += "\n          ;;\n";
  }
  std::string flags;
  for (const Flag& flag : top.flags) flags += zsh_flag(flag);
  return fmt::format(R"(#compdef tutti
# Completion of tutti for zsh, made by 'tutti completion zsh'.
_tutti() {{
  local curcontext="$curcontext" state line
  local -a commands
  commands=(
{}  )
  _arguments -C{} \
            '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe -t commands command commands ;;
    argument)
      case $words[1] in
{}      esac
      ;;
  esac
}}
# As a file of fpath it is the body of the function; after 'source' it is registered.
if [[ $funcstack[1] == _tutti ]]; then
  _tutti "$@"
else
  compdef _tutti tutti
fi
)",
                     names, flags, cases);
}

// ---- fish ----------------------------------------------------------------------------------------------------------

std::string fish_quoted(std::string_view text) {
  std::string all = "'";
  for (const char letter : text) {
    if (letter == '\'' || letter == '\\') all += '\\';
    all += letter;
  }
  return all + "'";
}

std::string fish_value(const Value& value) {
  if (!value.words.empty())
    return fmt::format(" -f -a {}", fish_quoted(fmt::format("{}", fmt::join(value.words, " "))));
  return value.files ? " -F" : " -f";
}

std::string fish_flags(const std::string& condition, const Command& command) {
  std::string text;
  for (const Flag& flag : command.flags) {
    text += "complete -c tutti -n " + condition;
    if (!flag.letter.empty()) text += " -s " + flag.letter;
    text += " -l " + flag.word;
    if (flag.value.taken) text += " -r" + fish_value(flag.value);
    text += fmt::format(" -d {}\n", fish_quoted(flag.text));
  }
  return text;
}

std::string fish_script(const Command& top, const std::vector<Command>& commands) {
  std::string text =
      "# Completion of tutti for fish, made by 'tutti completion fish'.\ncomplete -c tutti -n __fish_use_subcommand "
      "-f\n";
  text += fish_flags("__fish_use_subcommand", top);
  for (const Command& command : commands) {
    const std::string chosen = fish_quoted("__fish_seen_subcommand_from " + command.name);
    text += fmt::format("complete -c tutti -n __fish_use_subcommand -a {} -d {}\n", command.name,
                        fish_quoted(command.text));
    text += fmt::format("complete -c tutti -n {}{}\n", chosen, fish_value(command.positional));
    text += fish_flags(chosen, command);
  }
  return text;
}

}  // namespace

std::string completion_script(const CLI::App& app, std::string_view shell) {
  const Command top = command_of(app);
  std::vector<Command> commands = commands_of(app);
  if (shell == "zsh") return zsh_script(top, commands);
  if (shell == "fish") return fish_script(top, commands);
  // Bash shows words without their descriptions.
  Command first = top;
  for (const Command& command : commands) first.positional.words.push_back(command.name);
  return bash_script(first, commands);
}

}  // namespace tutti::program
