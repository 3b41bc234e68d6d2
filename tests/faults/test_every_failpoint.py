"""Every durable step, each with every fault: the fault happens, and the study goes on to the same leaderboard."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.crash import undisturbed
from faults.invariants import check_acknowledged, check_complete, check_file, check_mirror
from faults.processes import run
from faults.simulated_study import FAILED, NAME, delete, kept_folder, simulate

from unipelt_search.records.history import RunState
from unipelt_search.storage.store import StudyStore

pytestmark = pytest.mark.timeout(300)
PACKAGE = Path(__file__).parents[2] / "unipelt_search"
STEPS = sorted(
    {
        name
        for path in (PACKAGE / "storage").glob("*.py")
        for pattern in (
            r'step="([\w.]+)"\) as',
            r'(?:\.write|_end_run|_step)\(\s*"([\w.]+)"',
            r'reach\("([\w.]+)\.before"\)',
        )
        for name in re.findall(pattern, path.read_text(encoding="utf-8"))
    }
)
FAULTS = ("before=kill", "after=kill", "before=raise", "before=full")
SMALL = {"trials": 4, "seeds": 1}
# A beat that fails is followed by another one, and an event that cannot be written is left out.
NO_END = ("run.renew", "event.append")
FRESH = ("database.upgrade", "study.create", "mirror.create")


def go_on(url: str, acknowledged: Path, faults: str) -> tuple[Callable[..., None], tuple, dict]:
    return simulate, (url, acknowledged), {"faults": faults, "step_seconds": 0.0, **SMALL}


def interrupt(url: str, acknowledged: Path, faults: str) -> tuple[Callable[..., None], tuple, dict]:
    call, given, named = go_on(url, acknowledged, faults)
    return call, given, named | {"interrupt_after": 1}


def live_long(url: str, acknowledged: Path, faults: str) -> tuple[Callable[..., None], tuple, dict]:
    call, given, named = go_on(url, acknowledged, faults)
    return call, given, named | {"lease_seconds": 0.02, "step_seconds": 0.02}


def give_up(url: str, acknowledged: Path, faults: str) -> tuple[Callable[..., None], tuple, dict]:
    return delete, (url,), {"faults": faults}


WAYS = {"run.leave": interrupt, "run.renew": live_long, "study.delete": give_up, "mirror.delete": give_up}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A study that a killed driver left, and the hash of the leaderboard that it must reach."""
    folder = tmp_path_factory.mktemp("prepared")
    simulate(f"sqlite:///{folder}/calm.db", folder / "calm", step_seconds=0.0, **SMALL)
    calm = StudyStore.open(f"sqlite:///{folder}/calm.db")
    reference = check_complete(calm, folder / "calm")
    calm.close()
    call, given, named = go_on(f"sqlite:///{folder}/left.db", folder / "left", "run.evaluation.after=kill@5")
    assert run(call, *given, **named) == -9
    return folder, reference


def copy(prepared: Path, to: Path) -> None:
    for path in prepared.glob("left*"):
        shutil.copy(path, to)


def with_fault(
    fault: str, prepared: tuple[Path, str], folder: Path
) -> tuple[str, Path, tuple[Callable[..., None], tuple, dict]]:
    """Return a study's URL and acknowledgements, and the call that reaches the step where the fault is planned."""
    step = fault.rpartition(".")[0]
    if step not in FRESH:
        copy(prepared[0], folder)
    url, acknowledged = f"sqlite:///{folder}/left.db", folder / "left"
    return url, acknowledged, WAYS.get(step, go_on)(url, acknowledged, f"{fault}@1;log={folder}/fired")


def call_here(call: Callable[..., None], *given: object, **named: object) -> int:
    try:
        call(*given, **named)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_steps_are_found() -> None:
    assert len(STEPS) >= 20
    assert {"run.finish", "mirror.add", "database.upgrade"} <= set(STEPS)


# Each step with one of the faults here, with all of them in `make acceptance`.
@pytest.mark.parametrize(
    ("step", "fault"),
    [
        pytest.param(step, fault, marks=[] if row % len(FAULTS) == column else pytest.mark.slow)
        for row, step in enumerate(STEPS)
        for column, fault in enumerate(FAULTS)
    ],
)
def test_a_fault_happens_and_the_study_recovers(
    step: str, fault: str, prepared: tuple[Path, str], tmp_path: Path
) -> None:
    url, acknowledged, (call, given, named) = with_fault(f"{step}.{fault}", prepared, tmp_path)
    # Only a kill, and what a living process would still hold, needs a process of its own.
    code = (call_here if step != "run.leave" and not fault.endswith("kill") else run)(call, *given, **named)
    assert (tmp_path / "fired").exists(), "the fault never happened"
    if fault.endswith("kill"):
        assert code == -9
    else:
        assert code == (0 if step in NO_END else FAILED), "all else ends the driver"

    store = StudyStore.open(url)
    if store.studies.find(NAME) and acknowledged.exists():
        check_acknowledged(store.studies.load(NAME), acknowledged)
    if call is delete:
        if store.studies.find(NAME):
            store.studies.delete(NAME)
        acknowledged.unlink()
        shutil.rmtree(kept_folder(acknowledged), ignore_errors=True)
    simulate(url, acknowledged, step_seconds=0.0, **SMALL)
    assert check_complete(store, acknowledged) == prepared[1]
    check_mirror(store)
    check_file(url)
    store.close()


# Each step with one of the two here, with both in `make acceptance`.
@pytest.mark.parametrize(
    ("step", "where"),
    [
        pytest.param(step, where, marks=[] if row % 2 == column else pytest.mark.slow)
        for row, step in enumerate(STEPS)
        for column, where in enumerate(("before", "after"))
    ],
)
def test_a_database_that_is_away_for_a_moment_stops_nothing_and_nothing_is_done_twice(
    step: str, where: str, prepared: tuple[Path, str], tmp_path: Path
) -> None:
    url, acknowledged, (call, given, named) = with_fault(f"{step}.{where}=away", prepared, tmp_path)
    code = call_here(call, *given, **named)
    assert (tmp_path / "fired").exists(), "the fault never happened"
    assert code == (FAILED if step == "database.upgrade" else 0), "only opening a database does not wait for it"
    store = StudyStore.open(url)
    if call is delete:
        assert store.studies.find(NAME) is None
    else:
        if step in {"database.upgrade", "run.leave"}:
            simulate(url, acknowledged, step_seconds=0.0, **SMALL)
        assert check_complete(store, acknowledged) == prepared[1]
        check_mirror(store)
    store.close()


def test_twenty_kills_in_a_row_while_a_study_is_taken_up_do_no_harm(prepared: tuple[Path, str], tmp_path: Path) -> None:
    left, reference = prepared
    copy(left, tmp_path)
    url, acknowledged = f"sqlite:///{tmp_path}/left.db", tmp_path / "left"
    lasting = ["study.budget", "study.state", "study.dropped", "study.notice", "mirror.rebuild", "mirror.link"]
    again = [f"{step}.{where}" for step in lasting for where in ("before", "after")]
    # What is released once stays so, and no later driver passes there.
    points = ["run.release.before", "run.release.after", *again, "study.seconds.before", *again[:5]]
    assert len(points) == 20
    for point in points:
        call, given, named = go_on(url, acknowledged, f"{point}=kill@1")
        assert run(call, *given, **named) == -9, point
    store = StudyStore.open(url)
    runs = [run for trial in store.studies.load(NAME).trials for run in trial.runs]
    assert max(run.attempt for run in runs) == 1, "an attempt that was not begun does not count"
    assert RunState.FAILED not in {run.state for run in runs}
    simulate(url, acknowledged, step_seconds=0.0, **SMALL)
    assert check_complete(store, acknowledged) == reference
    store.close()


def test_a_study_that_nothing_disturbs_is_the_same_again(tmp_path: Path) -> None:
    first, second = (undisturbed(f"sqlite:///{tmp_path}/{n}.db", tmp_path / n, seed=3) for n in ("a", "b"))
    assert first == second
