// SPDX-License-Identifier: MIT OR Apache-2.0
// completions: prints the completion of sd-activate's command line for bash, fish or zsh, from the options of the
// program.
#include "options.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

namespace {

using sd::activate::list_options;
using sd::activate::option_help;

// In the scripts, words between @ stand for what print() puts there.

constexpr std::string_view bash_script = R"(# Completes the command line of sd-activate in bash. Needs bash-completion.

_sd_activate()
{
    local cur prev words cword split
    _init_completion -s -n : || return
    [[ $cword -gt 1 && ${words[1]} == show ]] && return

    # A command begins after "--", or with a word that is neither an option nor a unit.
    local i command=0 follows_unit takes_value='@TAKES_VALUE@'
    for ((i = 1; i < cword && command == 0; i++)); do
        case ${words[i]} in
            --) command=$((i + 1)) ;;
            -*) [[ ${words[i]} =~ $takes_value ]] && ((i++)) ;;
            *.socket) follows_unit=yes ;;
            *) command=$i ;;
        esac
    done
    if ((command > 0)); then
        # bash splits words at colons and equals signs, and _command_offset counts the parts.
        local parts=0 joined
        for ((i = 0; i < command; i++)); do
            joined=
            while [[ $joined != "${words[i]}" && $parts -lt $COMP_CWORD ]]; do
                joined+=${COMP_WORDS[parts++]}
            done
        done
        _command_offset $parts
        return
    fi

    if [[ $prev =~ $takes_value ]]; then
        [[ $prev =~ @TAKES_VARIABLE@ ]] && COMPREPLY=($(compgen -A export -- "$cur"))
        return
    fi

    if [[ $cur == -* ]]; then
        [[ $follows_unit ]] || COMPREPLY=($(compgen -W '@OPTIONS@' -- "$cur"))
        return
    fi
    _filedir socket
    ((cword > 1)) || COMPREPLY+=($(compgen -W show -- "$cur"))
    [[ ${COMPREPLY-} ]] || _command_offset "$COMP_CWORD"
} &&
    complete -F _sd_activate sd-activate
)";

constexpr std::string_view fish_script = R"(# Completes the command line of sd-activate in fish.

# Prints the words of the command up to the cursor. Fails if there is no command. A command begins after "--", or with a
# word that is neither an option nor a unit.
function __sd_activate_command
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        if test $words[1] = --
            string join \n -- $words[2..] (commandline -ct)
            return 0
        else if string match -qr -- '@TAKES_VALUE@' $words[1]
            set -e words[1]
        else if not string match -qr -- '^-|\.socket$' $words[1]
            string join \n -- $words (commandline -ct)
            return 0
        end
        set -e words[1]
    end
    return 1
end

# Prints what may stand in the place of a unit or of a word of the command.
function __sd_activate_words
    if set -l command (__sd_activate_command)
        test "$command[1]" = show; or complete -C "$command"
    else if not string match -q -- '-*' (commandline -ct)
        set -l units (__fish_complete_suffix .socket | string match -r '.*(?:\.socket|/)$')
        if set -q units[1]
            string join \n -- $units
        else
            complete -C (commandline -ct)
        end
    end
end

function __sd_activate_takes_options
    not __sd_activate_command; and not string match -q -- '*.socket' (commandline -opc)
end

complete -c sd-activate -f -a '(__sd_activate_words)'
complete -c sd-activate -n 'test (count (commandline -opc)) = 1' -a show -d 'Print what was passed to this process'
@OPTIONS@)";

constexpr std::string_view zsh_script = R"(#compdef sd-activate
# Completes the command line of sd-activate in zsh.

local curcontext=$curcontext state line
typeset -A opt_args
local -i is_first=$(( CURRENT == 2 )) follows_dashes=${words[1,CURRENT-1][(Ie)--]}
(( ! is_first )) && [[ $words[2] == show ]] && return 1

_arguments -C -s -S -A '-*' : \
@OPTIONS@  '*:: :->words'
local -i status_of_options=$?
[[ $state == words ]] || return $status_of_options

# A command follows the units. _arguments removes "--" only where options precede it.
while (( CURRENT > 1 )) && [[ $words[1] == (*.socket|--) ]]; do
  shift words
  (( CURRENT-- ))
done
if (( CURRENT == 1 && ! follows_dashes )); then
  [[ $PREFIX == -* ]] && return $status_of_options
  local -a first_words=(
    'units:socket unit:_path_files -g "*.socket"'
    'directories:directory:_path_files -/'
  )
  (( is_first )) && first_words+=('show:command:(show)')
  _alternative $first_words && return 0
fi
_normal
)";

void replace(std::string& text, std::string_view word, const std::string& with) {
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + with.size())) {
    text.replace(at, word.size(), with);
  }
}

std::string with_backslashes(std::string_view text, std::string_view before) {
  std::string result;
  for (const char c : text) {
    if (before.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

bool takes_value(const option_help& option) { return !option.value.empty(); }
bool takes_variable(const option_help& option) { return option.value == "NAME[=VALUE]"; }

/// Returns a regular expression for words after which the value of an option follows. Letters may be joined, as in -al.
std::string words_before_value(bool (*is_included)(const option_help&)) {
  std::string flags;
  std::string letters;
  std::string names;
  for (const auto& each : list_options()) {
    if (!takes_value(each)) flags += each.letter;
    if (!is_included(each)) continue;
    letters += each.letter;
    names += (names.empty() ? "" : "|") + each.name;
  }
  return fmt::format("^(-[{}]*[{}]|--({}))$", flags, letters, names);
}

/// Returns the text with each mark, such as @OPTIONS@, replaced.
std::string fill(std::string_view text, const std::string& options) {
  std::string result(text);
  replace(result, "@OPTIONS@", options);
  replace(result, "@TAKES_VALUE@", words_before_value(takes_value));
  replace(result, "@TAKES_VARIABLE@", words_before_value(takes_variable));
  return result;
}

std::string bash() {
  std::string options;
  for (const auto& each : list_options()) {
    if (!each.letter.empty()) options += '-' + each.letter + ' ';
    options += "--" + each.name + ' ';
  }
  options.pop_back();
  return fill(bash_script, options);
}

std::string fish() {
  std::string options;
  for (const auto& each : list_options()) {
    options += fmt::format("complete -c sd-activate -n __sd_activate_takes_options{} -l {} -d '{}'{}{}\n",
                           each.letter.empty() ? "" : " -s " + each.letter, each.name,
                           with_backslashes(each.description, "\\'"), takes_value(each) ? " -x" : "",
                           takes_variable(each) ? " -a '(set -nx)'" : "");
  }
  return fill(fish_script, options);
}

std::string zsh() {
  std::string options;
  for (const auto& each : list_options()) {
    std::string names = "--" + each.name + (takes_value(each) ? "=" : "");
    std::string excluded = each.is_list ? "'*'" : "";
    if (!each.letter.empty()) {
      names = fmt::format("{{-{}{},{}}}", each.letter, takes_value(each) ? "+" : "", names);
      if (!each.is_list) excluded = fmt::format("'(-{} --{})'", each.letter, each.name);
    }
    const auto value = fmt::format(":{}:{}", with_backslashes(each.value, ":"),
                                   takes_variable(each) ? "_parameters -g \"*export*\"" : " ");
    options += fmt::format("  {}{}'[{}]{}' \\\n", excluded, names, with_backslashes(each.description, "[]:"),
                           takes_value(each) ? value : "");
  }
  return fill(zsh_script, options);
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string_view shell = argc == 2 ? argv[1] : "";
  const auto script = shell == "bash" ? bash() : shell == "fish" ? fish() : shell == "zsh" ? zsh() : "";
  if (script.empty()) {
    fmt::print(stderr, "Usage: completions bash|fish|zsh\n");
    return 2;
  }
  fmt::print("{}", script);
} catch (const std::exception& error) {
  static_cast<void>(std::fprintf(stderr, "completions: %s\n", error.what()));
  return 1;
}
