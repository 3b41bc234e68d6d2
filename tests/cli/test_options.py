from __future__ import annotations

from typing import Any

import typer

from unipelt_search.cli import options
from unipelt_search.cli.app import app

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_every_command_that_reads_or_writes_studies_takes_the_database() -> None:
    assert {name for name in COMMANDS if "--storage" in flags(name)} == set(COMMANDS) - {"methods", "predict"}


def test_an_option_has_one_text_everywhere_where_it_means_one_thing() -> None:
    for option in ("--storage", "--trials", "--seeds", "--time", "--concurrency", "--quiet", "--json"):
        texts = {
            parameter.help for command in COMMANDS.values() for parameter in command.params if option in parameter.opts
        }
        assert len(texts) == 1, option
        assert texts != {None}


def test_every_shared_option_is_used() -> None:
    shared = {name for name in vars(options) if name[0].isupper() and hasattr(vars(options)[name], "__metadata__")}
    asked = {metadata for command in COMMANDS.values() for metadata in (parameter.help for parameter in command.params)}
    assert len(shared) > 10
    assert [name for name in shared if vars(options)[name].__metadata__[0].help not in asked] == []


def flags(command: str) -> set[str]:
    return {flag for parameter in COMMANDS[command].params for flag in parameter.opts}
