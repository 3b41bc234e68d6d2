from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer

from unipelt_search.cli.parameters import CommandOption, Fields, StudyOptions, command_options, expand
from unipelt_search.specs.option import Option, field_options
from unipelt_search.specs.study import StudySpec

COLOUR = Option("--colour", help="Which colour.")


@dataclass(frozen=True)
class Look:
    to: Annotated[Path, Option("--to", metavar="DIR", help="Where to.")]
    colour: Annotated[Literal["red", "blue"], COLOUR] = "red"
    loud: Annotated[bool, Option("--loud", help="Say more.")] = False


Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call() -> Call:
    """Return a function that gives a command words, and returns what its function gets."""

    def called(*words: str) -> dict[str, Any]:
        got: dict[str, Any] = {}

        def paint(
            name: Annotated[str, typer.Argument()],
            *,
            look: Look,
            given: Annotated[StudyOptions, Fields(("budget", "space.prune_gates", "task.text"))],
            deep: Annotated[int | None, Option("--deep", metavar="N", help="How deep.")] = None,
        ) -> None:
            got.update(name=name, look=look, given=dict(given.values), deep=deep)

        app = typer.Typer()
        app.command()(expand(paint))
        app(args=list(words), standalone_mode=False)
        return got

    return called


def test_a_group_of_options_is_one_parameter(call: Call) -> None:
    assert call("x", "--to", "here") == {"name": "x", "look": Look(Path("here")), "given": {}, "deep": None}
    got = call("x", "--to", "here", "--colour", "blue", "--loud", "--deep", "3")
    assert got == {"name": "x", "look": Look(Path("here"), "blue", True), "given": {}, "deep": 3}


def test_an_option_without_a_default_is_required(call: Call) -> None:
    with pytest.raises(typer.TyperException) as caught:
        call("x")
    assert caught.value.exit_code == 2


def test_options_of_a_study_come_by_their_keys_and_already_read(call: Call) -> None:
    got = call("x", "--to", "d", "--trials", "4", "--time", "2m", "--text", "a", "--text", "b")
    assert got["given"] == {("budget", "trials"): 4, ("budget", "time_seconds"): 120, ("task", "text"): ["a", "b"]}


@pytest.mark.parametrize(("words", "given"), [([], {}), (["--prune-gates"], True), (["--no-prune-gates"], False)])
def test_a_switch_of_a_study_has_three_states(call: Call, words: list[str], given: object) -> None:
    path = ("space", "prune_gates")
    assert call("x", "--to", "d", *words)["given"] == ({} if given == {} else {path: given})


@pytest.mark.parametrize(("words", "loud"), [([], False), (["--loud"], True), (["--loud", "--no-loud"], False)])
def test_the_last_form_of_a_switch_counts(call: Call, words: list[str], loud: bool) -> None:
    assert call("x", "--to", "d", *words)["look"].loud is loud


def test_a_command_has_only_the_fields_that_it_names(call: Call) -> None:
    with pytest.raises(typer.TyperException, match="--gate-null"):
        call("x", "--to", "d", "--gate-null")


def test_without_keys_all_fields_are_meant() -> None:
    assert Fields().options() == list(field_options(StudySpec))
    assert [entry.path for entry in Fields(("budget",)).options()] == [
        ("budget", "trials"), ("budget", "seeds"), ("budget", "time_seconds"),
    ]  # fmt: skip


def test_the_options_of_a_command_can_be_listed() -> None:
    def paint(*, given: Annotated[StudyOptions, Fields(("seed",))], look: Look) -> None: ...

    seed, to, colour, loud = command_options(expand(paint))
    assert (seed.option.flag, seed.kind, seed.panel) == ("--seed", int | None, None)
    assert (to.option.flag, to.kind) == ("--to", Path)
    assert colour == CommandOption(COLOUR, Literal["red", "blue"], None)
    assert (colour.choices, to.choices) == (("red", "blue"), ())
    assert (loud.is_switch, colour.is_switch) == (True, False)
    assert CommandOption(COLOUR, Literal["red"] | None, None).choices == ("red",)
