"""The tables of options in docs/cli.md, made from the declarations of the options.

    python -m unipelt_search.cli.option_tables docs/cli.md

rewrites the tables of the page. A table stands between two marking lines: ``<!-- options of COMMAND -->`` and
``<!-- end of options -->``.
"""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path

from unipelt_search.cli.app import app
from unipelt_search.cli.parameters import CommandOption, command_options

_REFERENCE = "run"
"""The command whose options are described in full; other commands refer to it."""
_END = "<!-- end of options -->"
_TABLE = re.compile(rf"(?<=<!-- options of )(\w+)( -->\n).*?(?={_END})", re.DOTALL)
_FLAG = re.compile(r"(?<![\w`-])--[a-z][a-z-]*")


def replace_tables(page: str) -> str:
    """Return a page with the tables of options as the options are declared now.

    Args:
        page: Markdown with marking lines.

    Returns:
        The page; nothing outside of the marking lines changes.
    """
    return _TABLE.sub(lambda mark: f"{mark[1]}{mark[2]}\n{option_table(mark[1])}\n", page)


def option_table(command: str) -> str:
    """Describe the options of a command.

    Args:
        command: Its name.

    Returns:
        A table in Markdown. Options that mean the same as for `run` share a row.
    """
    known = [] if command == _REFERENCE else _options_of(_REFERENCE)

    def group(option: CommandOption) -> tuple[bool, str | None]:
        return option in known, option.panel

    rows = []
    for (is_known, _), options in groupby(_options_of(command), group):
        if is_known:
            rows.append(f"| {', '.join(_format_name(option) for option in options)} | as for `{_REFERENCE}` |")
        else:
            rows += [f"| {_format_name(option)} | {_describe(option)} |" for option in options]
    return "\n".join(["| option | meaning |", "|---|---|", *rows, ""])


def _options_of(command: str) -> list[CommandOption]:
    callbacks = {entry.callback.__name__: entry.callback for entry in app.registered_commands if entry.callback}
    return command_options(callbacks[command])


def _format_name(option: CommandOption) -> str:
    value = option.option.metavar or "|".join(option.choices)
    return f"`{option.option.flag} {value}".rstrip().replace("|", r"\|") + "`"


def _describe(option: CommandOption) -> str:
    sentences = [_FLAG.sub(r"`\g<0>`", option.option.help)]
    if option.option.metavar and option.choices:
        sentences.append(f"One of {', '.join(f'`{choice}`' for choice in option.choices)}.")
    if option.option.details:
        sentences.append(option.option.details)
    return " ".join(sentences)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        path = Path(argument)
        path.write_text(replace_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
