"""Man pages and shell completions, made of the programs' option tables, so that they are always right.

    python -m rserpool_apps.pages man DIRECTORY      one page per program (section 1)
    python -m rserpool_apps.pages bash               completions for bash, to standard output
    python -m rserpool_apps.pages zsh                for zsh

What options are is in the programs' tables; nothing is described here.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from pathlib import Path

from .options import BUILT_IN, Option, Program, default_text, version
from .start import PROGRAMS, module_of

FILES = ("FILE", "DIR", "DIRECTORY")  # metavars that stand for names of files
ENVIRONMENT = (
    ("RSERPOOL_TRANSPORT", "auto, kernel or userland, where -transport does not say it."),
    ("CSP_SERVER, CSP_INTERVAL", "Where status reports go to (address:port), and how often (milliseconds)."),
    ("NO_COLOR", "No colours in pictures and tables."),
)


def programs() -> list[Program]:
    """All programs' tables."""
    return [importlib.import_module(module_of(name)).PROGRAM for name in PROGRAMS]


def _date() -> str:
    """Today, or what makes the same pages of the same source (reproducible-builds.org)."""
    return time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())))


def _escape(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def man_page(program: Program) -> str:
    """A program's man page in roff."""
    names = " ".join(argument.usage for argument in program.arguments)
    lines = [
        f'.TH "{program.name.upper()}" 1 "{_date()}" "{_escape(version())}" "Reliable Server Pooling"',
        ".SH NAME", f"{program.name} \\- {_escape(_first(program.summary))}",
        ".SH SYNOPSIS", f".B {program.name}", f"{_escape(names)} [\\-option=value] ...",
        ".SH DESCRIPTION", _escape(program.summary), ".PP",
        "Options are taken as \\-name=value, \\-\\-name=value and \\-\\-name value.",
    ]  # fmt: skip
    for argument in program.arguments:
        lines += [".TP", f".I {_escape(argument.name.upper())}", _escape(argument.help)]
    for group in (*program.groups, BUILT_IN):
        lines.append(f".SH {_escape(group.title.upper())}")
        if group.note:
            lines.append(_escape(group.note))
        for option in group.options:
            lines += [".TP", f".B {_escape(option.usage)}", _escape(_sentence(option))]
    lines.append(".SH ENVIRONMENT")
    for name, meaning in ENVIRONMENT:
        lines += [".TP", f".B {name}", _escape(meaning)]
    lines += [".SH EXIT STATUS", "0 if all went well, also when ended by SIGINT or SIGTERM; 1 for errors."]
    if program.examples:
        lines.append(".SH EXAMPLES")
        for command, meaning in program.examples:
            lines += [".TP", f".B {_escape(command)}", _escape(meaning)]
    others = [f"{name}(1)" for name in PROGRAMS if name != program.name]
    lines += [".SH SEE ALSO", _escape(", ".join(others)), ""]
    return "\n".join(lines)


def _first(text: str) -> str:
    return re.split(r"[.:;] ", text)[0].rstrip(".")


def _sentence(option: Option) -> str:
    text = option.help[0].upper() + option.help[1:] + "."
    shown = default_text(option)
    if shown:
        text += f" Default: {shown}."
    return text + (" May be given several times." if option.repeat else "")


def _choices(option: Option) -> list[str]:
    """The words among which an option's value is chosen, if its metavar shows them."""
    words = option.metavar.split("|")
    return words if len(words) > 1 and all(re.fullmatch(r"[a-z][a-z-]*", w) for w in words) else []


def bash_completion() -> str:
    """Completions for bash."""
    lines = ["# Completions of the RSerPool programs for bash; made of their option tables.", ""]
    for program in programs():
        function = f"_rserpool_{program.name.replace('-', '_')}"
        options = [*program.options(), *BUILT_IN.options]
        words = " ".join(f"-{o.name}{'' if o.parse is None else '='}" for o in options)
        lines += [f"{function}() {{",
                  '   local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"',
                  '   [ "$cur" = "=" ] && cur="" || { [ "$prev" = "=" ] && prev="${COMP_WORDS[COMP_CWORD-2]}"; }',
                  '   case "$prev" in']  # fmt: skip
        for option in options:
            if option.metavar in FILES and option.parse is not None:
                lines.append(
                    f'      -{option.name}|--{option.name}) COMPREPLY=( $(compgen -f -- "$cur") ); return ;;'
                )
            elif choices := _choices(option):
                lines.append(
                    f"      -{option.name}|--{option.name}) "
                    f'COMPREPLY=( $(compgen -W "{" ".join(choices)}" -- "$cur") ); return ;;'
                )
        lines += ["   esac", f'   COMPREPLY=( $(compgen -W "{words}" -- "$cur") )',
                  '   [[ "${COMPREPLY[0]}" == *= ]] && compopt -o nospace', "}",
                  f"complete -F {function} {program.name}", ""]  # fmt: skip
    return "\n".join(lines)


def zsh_completion() -> str:
    """Completions for zsh."""
    names = " ".join(program.name for program in programs())
    lines = [f"#compdef {names}", "# Completions of the RSerPool programs for zsh; made of their option tables.",
             "", 'case "$service" in']  # fmt: skip
    for program in programs():
        lines.append(f"   {program.name})\n      _arguments \\")
        for option in (*program.options(), *BUILT_IN.options):
            text = re.sub(r"[\[\]\\]", r"\\\g<0>", option.help).replace("'", "'\\''")
            spec = f"-{option.name}{'=' if option.parse is not None else ''}[{text}]"
            if option.parse is not None:
                choices = _choices(option)
                action = f"({' '.join(choices)})" if choices else "_files" if option.metavar in FILES else " "
                spec += f":{re.sub(r'[^A-Za-z.]', ' ', option.metavar).strip()}:{action}"
            lines.append(f"         '{'*' if option.repeat else ''}{spec}' \\")
        lines[-1] = lines[-1].removesuffix(" \\")
        lines.append("      ;;")
    return "\n".join([*lines, "esac", ""])


def main(words: list[str]) -> int:
    """Write what is asked for; return the exit status."""
    if len(words) == 2 and words[0] == "man":
        folder = Path(words[1])
        folder.mkdir(parents=True, exist_ok=True)
        for program in programs():
            (folder / f"{program.name}.1").write_text(man_page(program), encoding="utf-8")
        return 0
    if words in (["bash"], ["zsh"]):
        print(bash_completion() if words == ["bash"] else zsh_completion(), end="")
        return 0
    print("Usage: python -m rserpool_apps.pages man DIRECTORY | bash | zsh", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
