from __future__ import annotations

import subprocess
import sys

import pytest

from unipelt_search import __version__
from unipelt_search.cli.app import app, main

COMMANDS = [
    "demo", "run", "resume", "suite", "report", "gates", "studies", "methods", "export", "predict", "doctor",
    "delete", "upgrade",
]  # fmt: skip


def test_the_commands_are_the_published_ones() -> None:
    assert [command.callback.__name__ for command in app.registered_commands if command.callback] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert "Examples:" in out
    assert f"unipelt-search {command}" in out
    assert err == ""


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert all(command in capsys.readouterr().out for command in COMMANDS[:1])


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"unipelt-search {__version__}\n"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["frobnicate"], "No such command 'frobnicate'", "See unipelt-search --help."),
        (["report"], "Missing argument 'NAME'", "See unipelt-search report --help."),
        (
            ["report", "x", "--format", "pdf"],
            "'pdf' is not one of 'terminal', 'json'",
            "See unipelt-search report --help.",
        ),
        (["run", "--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda'", "See unipelt-search run --help."),
    ],
)
def test_a_usage_fault_is_two_lines_on_stderr(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str, hint: str
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert first.startswith("unipelt-search: ")
    assert message in first
    assert second == hint
    assert out == ""


def test_the_module_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unipelt_search", "frobnicate"], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("unipelt-search: No such command")
