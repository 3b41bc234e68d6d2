from __future__ import annotations

from typing import Any

import typer

from unipelt_search.cli import options
from unipelt_search.cli.app import app
from unipelt_search.specs.option import Option, field_options
from unipelt_search.specs.study import StudySpec

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_every_command_that_reads_or_writes_studies_takes_the_database() -> None:
    assert {name for name in COMMANDS if "--storage" in flags(name)} == set(COMMANDS) - {"methods", "predict", "doctor"}


def test_an_option_has_one_text_everywhere_where_it_means_one_thing() -> None:
    # What `doctor --json` prints is no report.
    commands = [command for name, command in COMMANDS.items() if name != "doctor"]
    for option in ("--storage", "--trials", "--seeds", "--time", "--concurrency", "--quiet", "--json"):
        texts = {parameter.help for command in commands for parameter in command.params if option in parameter.opts}
        assert len(texts) == 1, option
        assert texts != {None}


def test_every_shared_option_is_used() -> None:
    shared = {
        option.help
        for alias in vars(options).values()
        for option in getattr(alias, "__metadata__", ())
        if isinstance(option, Option)
    }
    used = {parameter.help for command in COMMANDS.values() for parameter in command.params}
    assert len(shared) > 5
    assert shared <= used


def test_every_option_of_a_study_can_be_given_to_run() -> None:
    assert {declared.option.flag for declared in field_options(StudySpec)} <= flags("run")


def test_resume_takes_budget_and_machine() -> None:
    growing = {d.option.flag for d in field_options(StudySpec) if d.path[0] in {"budget", "machine"}}
    output = {"--storage", "--out", "--quiet", "--json"}
    assert flags("resume") - {"name"} == growing | output


def test_every_switch_can_be_switched_off() -> None:
    parameters = [parameter for command in COMMANDS.values() for parameter in command.params]
    switches = [parameter for parameter in parameters if getattr(parameter, "is_flag", False)]
    assert len(switches) > 10
    for switch in switches:
        assert switch.secondary_opts == [f"--no-{switch.opts[0].removeprefix('--')}"], switch.name


def flags(command: str) -> set[str]:
    return {flag for parameter in COMMANDS[command].params for flag in parameter.opts}
