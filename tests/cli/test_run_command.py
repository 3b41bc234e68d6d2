from __future__ import annotations

import inspect
import json
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import unipelt_search
from unipelt_search import api as real
from unipelt_search.cli import run_command
from unipelt_search.cli.app import main
from unipelt_search.cli.demo_study import DEMO
from unipelt_search.errors import (
    DataError,
    MachineError,
    NoUsableTrialError,
    StorageError,
    StudyExistsError,
    StudyNotFoundError,
    UnipeltError,
)
from unipelt_search.records.progress import StudyProgress
from unipelt_search.records.study_stage import OnStage, StudyStage, unheard
from unipelt_search.specs.option import FieldOption, field_options
from unipelt_search.specs.study import StudySpec

PROGRESS = StudyProgress(
    study="d-1", metric="accuracy", phase="screen", trials_done=1, trials_asked=2, runs_done=1, runs_asked=2,
    running=(), standings=(), seconds_elapsed=1.0, seconds_left=None, event="trial 0 head finished",
)  # fmt: skip
FLAGS = ["run", "--data", "d.csv", "--text", "t", "--label", "l", "--model", "m"]
OTHER_OPTIONS = [
    "--name", "n", "--kind", "classification", "--positive", "p", "--separator", ";", "--weight", "w",
    "--weight-metric", "--group", "g", "--order", "o", "--folds", "never", "--drop-bad-rows", "--merge-labels",
    "--metric", "macro_f1", "--allow-overlap", "--train-size", "9", "--redraw",
    "--truncation", "left", "--ablate-layers",
    "--methods", "lora, head", "--prune-gates", "--gate-null", "--allocation", "equal", "--max-parameters", "8",
    "--max-latency-ms", "0.5", "--trials", "4", "--seeds", "5", "--time", "2m", "--seed", "7", "--device", "cpu",
    "--concurrency", "2", "--cpus-per-trial", "0.5", "--gpus-per-trial", "0.5",
    "--checkpoints", "s3://bucket/runs", "--address", "auto",
]  # fmt: skip
SWITCHES = [declared for declared in field_options(StudySpec) if declared.annotation is bool]


class FakeApi:
    """Remembers what it is asked, and does as told."""

    def __init__(self) -> None:
        self.asked: list[SimpleNamespace] = []
        self.deleted: list[str] = []
        self.upgraded: list[str | None] = []
        self.names: list[str] = []
        self.interrupted = False
        self.before: list[Callable[[], None]] = []
        self.after: list[Callable[[], None]] = []

    def run_study(
        self,
        spec: StudySpec,
        *,
        storage: str | None = None,
        out: Path | None = None,
        command: str = "",
        watch: Callable[[StudyProgress], None] | None = None,
        frames: Any = None,
        on_stage: OnStage = unheard,
    ) -> Any:
        on_stage(StudyStage(name="read", subject=spec.task.data))
        self.asked.append(SimpleNamespace(spec=spec, storage=storage, out=out, command=command))
        for act in self.before[:1]:
            self.before.remove(act)
            act()
        assert watch is not None
        watch(PROGRESS)
        for act in self.after:
            act()
        return SimpleNamespace(name=spec.name, report=f"the report of {spec.name}", interrupted=self.interrupted)

    def stored_spec(self, name: str, *, storage: str | None = None) -> Any:
        if name not in self.names:
            raise StudyNotFoundError(f"No study is named {name!r}.")
        return DEMO.model_copy(update={"name": name})

    def study_names(self, *, storage: str | None = None) -> list[str]:
        return list(self.names)

    def upgrade_storage(self, *, storage: str | None = None) -> None:
        self.upgraded.append(storage)

    def check_stored_plugins(self, name: str, *, storage: str | None = None) -> None:
        """Every package is installed."""

    def delete_study(self, name: str, *, storage: str | None = None) -> None:
        self.deleted.append(name)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()
    monkeypatch.setattr(unipelt_search, "api", fake, raising=False)
    monkeypatch.setattr(run_command, "show_report", lambda report, form: sys.stdout.write(f"{form}: {report}\n"))
    return fake


def fail(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_the_fake_is_called_as_the_real_one_would_be() -> None:
    names = ("run_study", "stored_spec", "study_names", "upgrade_storage", "delete_study", "check_stored_plugins")
    for name in names:
        ours = list(inspect.signature(getattr(FakeApi, name)).parameters)[1:]
        assert ours == list(inspect.signature(getattr(real, name)).parameters), name


def test_run_asks_for_what_the_options_say(api: FakeApi) -> None:
    arguments = [*FLAGS, "--text", "t2", "--methods", "head,lora", "--time", "2m", "--device", "cpu", "--out", "there"]
    assert main([*arguments, "--storage", "sqlite:///x.db"]) == 0
    (asked,) = api.asked
    assert asked.spec.task.text == ("t", "t2")
    assert asked.spec.space.methods == ("head", "lora")
    assert asked.spec.budget.time_seconds == 120
    assert asked.spec.machine.device == "cpu"
    assert (asked.storage, asked.out) == ("sqlite:///x.db", Path("there"))


def test_every_option_of_a_study_reaches_its_field(api: FakeApi) -> None:
    assert main([*FLAGS, *OTHER_OPTIONS]) == 0
    spec = api.asked[0].spec
    given = [declared.path for declared in field_options(StudySpec) if declared.option.flag in {*FLAGS, *OTHER_OPTIONS}]
    assert given == [declared.path for declared in field_options(StudySpec)]  # none is left out above
    values = spec.model_dump(exclude_defaults=True)
    missing = [path for path in given if path[-1] not in (values if len(path) == 1 else values[path[0]])]
    assert missing == []
    assert (spec.budget.time_seconds, spec.space.methods, spec.seed) == (120, ("lora", "head"), 7)
    assert (spec.machine.gpus_per_trial, spec.machine.checkpoints) == (0.5, "s3://bucket/runs")


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda declared: declared.option.flag)
@pytest.mark.parametrize(("form", "value"), [(None, True), ("--", True), ("--no-", False)])
def test_what_a_study_file_switches_on_can_be_switched_off(
    api: FakeApi, tmp_path: Path, switch: FieldOption, form: str | None, value: bool
) -> None:
    section, key = switch.path
    task = {"data": "d.csv", "text": ["t"], "label": "l", "weight": "w"}  # weights count in metrics where there are any
    values = {"name": "s", "task": task, "backbone": {"model": "m"}}
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(values | {section: {**values.get(section, {}), key: True}}), encoding="utf-8")
    words = [] if form is None else [form + switch.option.flag.removeprefix("--")]
    assert main(["run", str(file), *words]) == 0
    assert getattr(getattr(api.asked[0].spec, section), key) is value


def test_a_study_without_a_name_gets_a_new_one(api: FakeApi, tmp_path: Path) -> None:
    api.names = ["d-1"]
    main(FLAGS)
    main([*FLAGS, "--name", "mine"])
    file = tmp_path / "study.yaml"
    file.write_text("{name: filed, task: {data: d.csv, text: [t], label: l}, backbone: {model: m}}")
    main(["run", str(file), "--trials", "9"])
    assert [asked.spec.name for asked in api.asked] == ["d-2", "mine", "filed"]
    assert api.asked[2].spec.budget.trials == 9


def test_the_result_is_on_stdout_and_progress_on_stderr(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(FLAGS) == 0
    out, err = capsys.readouterr()
    assert out == "terminal: the report of d-1\n"
    assert "trial 0 head finished" in err
    assert [line.partition("] ")[2] for line in err.splitlines()[:2]] == ["checking the request", "reading d.csv"]


def test_json_is_json_on_both_streams(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FLAGS, "--json"]) == 0
    out, err = capsys.readouterr()
    assert out == "json: the report of d-1\n"
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["trial 0 head finished"]


def test_quiet_shows_the_result_alone(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FLAGS, "--quiet"]) == 0
    assert capsys.readouterr() == ("terminal: the report of d-1\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "--data, --text, --label, --model"),
        ([*FLAGS, "--methods", "lorra"], "Did you mean 'lora'?"),
        ([*FLAGS, "--methods", "majority"], "'majority'"),
        ([*FLAGS, "--time", "30"], "--time"),
        ([*FLAGS, "--trials", "0"], "--trials: "),
        ([*FLAGS, "--trials", "many"], "'--trials'"),
        ([*FLAGS, "--text", "b", "--text", "c"], "--text: "),
        ([*FLAGS, "--trails", "3"], "--trails"),
        (["run", "absent.yaml"], "'absent.yaml'"),
        (["resume", "absent"], "'absent'"),
    ],
)
def test_a_wrong_request_is_a_short_message(
    api: FakeApi, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert len(err.splitlines()) <= 4
    assert api.asked == []


@pytest.mark.parametrize(
    ("error", "code"),
    [(DataError("--label must name a column."), 2), (NoUsableTrialError("Every trial failed."), 3)],
)
def test_errors_of_the_study_keep_their_exit_codes(
    api: FakeApi, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    api.before = [fail(error)]
    assert main([*FLAGS, "--quiet"]) == code
    assert capsys.readouterr() == ("", f"unipelt-search: {error}\n")


@pytest.mark.parametrize(
    ("error", "code"), [(MachineError("No GPU."), 2), (StorageError("Damaged."), 2), (UnipeltError("Ray is gone."), 1)]
)
def test_a_fault_of_the_machine_is_told_with_what_the_machine_has(
    api: FakeApi, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    api.before = [fail(error)]
    assert main([*FLAGS, "--quiet"]) == code
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"unipelt-search: {error}"
    assert second.startswith("This machine: unipelt-search")


def test_a_fault_of_ours_shows_where_it_is(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.before = [fail(KeyError("surprise"))]
    assert main(FLAGS) == 1
    out, err = capsys.readouterr()
    assert "Traceback" in err
    *_, fault, machine = err.splitlines()
    assert fault.startswith("unipelt-search: This is a fault of unipelt-search")
    assert machine.startswith("This machine: unipelt-search")
    assert out == ""


def test_an_interrupted_study_says_how_to_go_on(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.interrupted = True
    assert main([*FLAGS, "--storage", "postgresql://me:secret@host/db"]) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == (
        "Interrupted. Go on with: unipelt-search resume d-1 --storage postgresql://me:***@host/db"
    )


def test_an_interruption_that_reaches_the_command_says_so_too(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.after = [fail(KeyboardInterrupt())]
    assert main([*FLAGS, "--out", "my reports"]) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "Interrupted. Go on with: unipelt-search resume d-1 --out 'my reports'"


def test_the_printed_command_continues_the_study_where_it_is(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.interrupted = True
    assert main([*FLAGS, "--name", "mine", "--storage", "sqlite:///x.db", "--out", "my reports"]) == 130
    command = capsys.readouterr().err.rpartition("unipelt-search ")[2]
    api.interrupted = False
    api.names = ["mine"]
    assert main(shlex.split(command)) == 0
    began, continued = api.asked
    assert continued.spec.name == began.spec.name == "mine"
    assert (continued.storage, continued.out) == (began.storage, began.out)


def test_sigterm_is_an_interruption_too(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.after = [lambda: signal.raise_signal(signal.SIGTERM)]
    assert main(FLAGS) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "Interrupted. Go on with: unipelt-search resume d-1"


def test_before_there_is_a_study_nothing_can_be_resumed(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.before = [fail(KeyboardInterrupt())]
    assert main([*FLAGS, "--quiet"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_the_stored_command_has_no_password(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [*FLAGS, "--storage", "postgresql+psycopg://me:secret@host/db"]
    monkeypatch.setattr(sys, "argv", ["/usr/bin/unipelt-search", *arguments])
    main(arguments)
    assert api.asked[0].command.startswith("unipelt-search run --data d.csv --text t")
    assert "secret" not in api.asked[0].command
    assert api.asked[0].storage == arguments[-1]


def test_resume_asks_the_same_question_and_may_give_more(api: FakeApi) -> None:
    api.names = ["old"]
    assert main(["resume", "old", "--time", "1h", "--concurrency", "3"]) == 0
    spec = api.asked[0].spec
    assert spec.identity() == DEMO.identity()
    assert (spec.name, spec.budget.time_seconds, spec.machine.concurrency) == ("old", 3600, 3)
    assert spec.budget.trials == DEMO.budget.trials


def test_demo_runs_the_demo_study(api: FakeApi) -> None:
    assert main(["demo"]) == 0
    assert [asked.spec for asked in api.asked] == [DEMO]
    assert api.deleted == []


def test_demo_replaces_its_own_study_when_that_cannot_go_on(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.before = [fail(StudyExistsError("asks something else"))]
    assert main(["demo", "--trials", "7"]) == 0
    assert (api.deleted, len(api.upgraded)) == (["demo"], 1)
    assert [asked.spec.budget.trials for asked in api.asked] == [7, 7]


def test_run_never_replaces_a_study(api: FakeApi) -> None:
    api.before = [fail(StudyExistsError("A study of that name asks something else."))]
    assert main(FLAGS) == 2
    assert api.deleted == []
