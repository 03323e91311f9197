// What `godwit completion SHELL` prints. Each asks `godwit __complete WORD…` for the words after `godwit`; completion.h says what it answers.
#include "completion.h"

namespace godwit::cli {
namespace {

// bash takes ':' and '=' for the ends of words: whole words are put together from the line, and what of a candidate stands before the cursor's part is cut off again.
constexpr const char* kBash = R"bash(# bash completion of godwit
_godwit() {
  local rest=${COMP_LINE:0:COMP_POINT} word words=() i
  for ((i = 0; i <= COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $rest == [[:space:]]* || i -eq 0 ]]; then
      rest=${rest#"${rest%%[![:space:]]*}"}
      words+=("")
    fi
    ((i < COMP_CWORD)) || word=$rest
    words[-1]+=$word
    rest=${rest#"$word"}
  done
  local current=${words[-1]} candidate paths=:none
  COMPREPLY=()
  while IFS= read -r candidate; do
    case $candidate in
      :*) paths=$candidate ;;
      *) COMPREPLY+=("${candidate%%$'\t'*}") ;;
    esac
  done < <("${words[0]/#\~\//$HOME/}" __complete "${words[@]:1}" 2>/dev/null)
  local typed=${current##*=} path
  case $paths in
    :files) while IFS= read -r path; do COMPREPLY+=("${current%"$typed"}$path"); done < <(compgen -f -- "$typed") ;;
    :folders) while IFS= read -r path; do COMPREPLY+=("${current%"$typed"}$path"); done < <(compgen -d -- "$typed") ;;
  esac
  [[ $paths == :none ]] || compopt -o filenames 2>/dev/null
  local before=${current%"${current##*[=:]}"}
  if [[ -n $before && $COMP_WORDBREAKS == *[=:]* ]]; then COMPREPLY=("${COMPREPLY[@]#"$before"}"); fi
}
complete -F _godwit godwit
)bash";

constexpr const char* kZsh = R"zsh(#compdef godwit
# zsh completion of godwit
_godwit() {
  local line paths=:none
  local -a candidates
  while IFS= read -r line; do
    case $line in
      :*) paths=$line ;;
      *)
        local word=${line%%$'\t'*} what=${line#*$'\t'}
        candidates+=("${word//:/\\:}${what:+:$what}")
        ;;
    esac
  done < <("${(Q)words[1]}" __complete "${(Q@)words[2,CURRENT]}" 2>/dev/null)
  (( ${#candidates} == 0 )) || _describe -V godwit candidates
  [[ $paths == :none || $PREFIX != --*=* ]] || compset -P '*='
  case $paths in
    :files) _files ;;
    :folders) _files -/ ;;
  esac
}
if [[ $funcstack[1] == _godwit ]]; then _godwit "$@"; else compdef _godwit godwit; fi
)zsh";

constexpr const char* kFish = R"fish(# fish completion of godwit
function __godwit_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l paths :none
    for line in (command $words[1] __complete $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case ':*'
                set paths $line
            case '*'
                echo $line
        end
    end
    set -l typed (string replace -r '^--[^=]*=' '' -- $current)
    set -l before (string sub -l (math (string length -- "$current") - (string length -- "$typed")) -- "$current")
    switch $paths
        case :files
            __fish_complete_path $typed | string replace -r '^' -- $before
        case :folders
            __fish_complete_directories $typed '' | string replace -r '^' -- $before
    end
end
complete -c godwit -f -a '(__godwit_complete)'
)fish";

}  // namespace

std::string completion_script(const std::string& shell) {
  if (shell == "bash") return kBash;
  return shell == "zsh" ? kZsh : kFish;
}

}  // namespace godwit::cli
