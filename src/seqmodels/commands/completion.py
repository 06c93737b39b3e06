"""``seqmodels completion``: scripts that let a shell complete command lines, and the words that they ask for."""

import sys
from collections.abc import Sequence

from seqmodels.errors import ConfigError, nearest

HELP = """seqmodels completion bash|zsh|fish

Prints a script after which the shell completes commands, groups, options, keys and their values:
  bash  eval "$(seqmodels completion bash)"        in ~/.bashrc
  zsh   eval "$(seqmodels completion zsh)"         in ~/.zshrc
  fish  seqmodels completion fish | source         in ~/.config/fish/config.fish
"""
# Bash splits words at = and :, and replaces only the part behind the last of them.
BASH = r"""_seqmodels() {
    local line=${COMP_LINE:0:COMP_POINT} words found IFS=$' \t\n'
    read -ra words <<< "$line"
    case $line in *[[:space:]]) words+=("");; esac
    local current=${words[${#words[@]}-1]} kept=
    case $COMP_WORDBREAKS in *=*) kept=${current%"${current##*[=:]}"};; esac
    IFS=$'\n'
    COMPREPLY=($("$1" completion words "${words[@]:1}" 2>/dev/null | cut -f 1))
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    case ${COMPREPLY[0]} in *[=./:]) compopt -o nospace 2>/dev/null;; esac
}
complete -F _seqmodels seqmodels
"""
ZSH = r"""(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
_seqmodels() {
    local -a found
    found=(${(f)"$("${words[1]}" completion words "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null | cut -f 1)"})
    compadd -S '' -- ${(M)found:#*[=./:]}
    compadd -- ${found:#*[=./:]}
    (( $#found ))
}
compdef _seqmodels seqmodels
"""
FISH = r"""function __seqmodels_words
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    $words[1] completion words $words[2..-1] "$current" 2>/dev/null
end
complete -c seqmodels -f -a '(__seqmodels_words)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
ASKED = "words"  # by the scripts


def main(tokens: list[str]) -> int:
    """Print the script of a shell, or the words that may stand in the place of the last one, with descriptions."""
    if tokens and tokens[0] == ASKED:
        sys.stdout.writelines(f"{word}\t{text}\n" if text else f"{word}\n" for word, text in following(tokens[1:]))
        return 0
    if tokens and tokens[0] in ("-h", "--help"):
        sys.stdout.write(HELP)
        return 0
    if len(tokens) != 1 or tokens[0] not in SCRIPTS:
        given = tokens[0] if tokens else ""
        raise ConfigError(f"seqmodels completion needs a shell: bash, zsh or fish{nearest(given, SCRIPTS)}")
    sys.stdout.write(SCRIPTS[tokens[0]])
    return 0


def following(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return what the last of some words may be completed to, with descriptions; nothing if the others are wrong.

    The first word is a command; :mod:`seqmodels.cli` completes that itself.
    """
    try:
        return _of_command(words[0], words[1:])
    except (ValueError, OSError):
        return []


def _of_command(command: str, words: Sequence[str]) -> list[tuple[str, str]]:
    *before, word = words
    if command == "runs":
        return [(name, "") for name in _of_runs(before) if name.startswith(word)]
    if command in PLAIN:
        names: Sequence[str] = PLAIN[command] if not before or command == "sweep-report" else ()
        if command == "data" and before and before[0] in ("verify", "download"):
            names = [each.partition("=")[2] for each, _ in _candidates("train", [f"data={word}"])]
        return [(name, "") for name in names if name.startswith(word)]
    return _candidates(command, words)


def _of_runs(before: Sequence[str]) -> list[str]:
    from seqmodels.commands.runs import deleting, listing  # noqa: PLC0415  (of no use to other commands)

    options = deleting.OPTIONS if before[:1] == ["delete"] else listing.OPTIONS
    return [*([] if before else ("delete", "latest", "best:")), *(f"{option}=" for option in options)]


def _candidates(command: str, words: Sequence[str]) -> list[tuple[str, str]]:
    from seqmodels.config.help.completing import candidates  # noqa: PLC0415  (Hydra takes most of the time)

    return candidates(command, words)


PLAIN = {
    "sweep-report": ("dir=", "storage="),
    "data": ("list", "verify", "download"),
    "completion": tuple(SCRIPTS),
    "cells": (),
    "doctor": (),
}
"""Commands without a configuration, and their words."""
