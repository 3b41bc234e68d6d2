from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from unipelt_search.errors import StudyExistsError
from unipelt_search.methods.catalogue import TRAINED_METHODS
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.records.history import StudyRecord
from unipelt_search.records.results import RunResult
from unipelt_search.specs.trial import TrialSpec, config_of
from unipelt_search.storage.mirror import STUDY_ATTRIBUTE, MirrorChangedError
from unipelt_search.storage.store import StudyStore, check_new_name


def open_storage(url: str) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(url.replace("{", "{{").replace("}", "}}"))


def open_mirror(url: str, name: str = "first") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=open_storage(url))


def mirrored(url: str) -> list[tuple[str, float | None, str]]:
    return [(trial.state.name, trial.value, trial.params["method"]) for trial in open_mirror(url).trials]


@pytest.fixture
def filled(
    store: StudyStore,
    create: Callable[..., str],
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> str:
    """A study with a complete, a failed and a running trial."""
    study = create()
    complete, failed, _ = (
        store.runs.add_trial(study, trial_spec(method), "screen", "published")
        for method in ("unipelt_apl", "lora", "head")
    )
    store.runs.finish(complete.id, store.attempts.start(complete.id, "me"), run_result(0.75))
    store.runs.fail(failed.id, store.attempts.start(failed.id, "me"), "diverged")
    return study


FILLED = [("COMPLETE", 0.75, "unipelt_apl"), ("FAIL", None, "lora"), ("RUNNING", None, "head")]


def test_optuna_opens_the_mirror_with_the_same_trials(
    filled: str, url: str, trial_spec: Callable[..., TrialSpec]
) -> None:
    study = open_mirror(url)
    assert study.direction.name == "MAXIMIZE"
    assert study.user_attrs == {STUDY_ATTRIBUTE: filled}
    assert mirrored(url) == FILLED
    assert study.best_trial.number == 0
    expected = {name: value for name, value in config_of(trial_spec("unipelt_apl")).items() if value is not None}
    assert study.trials[0].params == expected | {"method": "unipelt_apl"}
    assert "prefix.mlp" not in study.trials[0].params
    assert study.trials[0].user_attrs == {STUDY_ATTRIBUTE: filled, "phase": "screen", "method": "unipelt_apl"}
    distributions = study.trials[0].distributions
    assert distributions["method"] == optuna.distributions.CategoricalDistribution(TRAINED_METHODS)
    assert distributions["training.learning_rate"].log
    assert isinstance(distributions["gate.prefix"], optuna.distributions.CategoricalDistribution)
    assert isinstance(distributions["adapter.bottleneck"], optuna.distributions.IntDistribution)


def test_a_switch_that_is_on_is_mirrored(
    filled: str, store: StudyStore, url: str, trial_spec: Callable[..., TrialSpec]
) -> None:
    spec = trial_spec("unipelt_apl")
    shifted = spec.model_copy(update={"prefix": PrefixSpec(position_shift=True)})
    store.runs.add_trial(filled, shifted, "screen", "configured", variant="mine")
    trials = open_mirror(url).trials
    assert [trial.params.get("prefix.position_shift") for trial in trials] == [None, None, None, True]
    assert store.studies.load("first").trials[-1].spec == shifted


def test_what_a_pruned_trial_leaves_out_is_an_attribute(
    filled: str, store: StudyStore, url: str, trial_spec: Callable[..., TrialSpec]
) -> None:
    spec = trial_spec("unipelt_apl")
    pruned = spec.model_copy(update={"without": (("adapter", 0), ("lora", 1))})
    store.runs.add_trial(filled, pruned, "tune", "pruned", variant="unipelt_apl-pruned")
    *others, last = open_mirror(url).trials
    assert last.user_attrs["without"] == "adapter 0, lora 1"
    assert "without" not in last.params
    assert all("without" not in trial.user_attrs for trial in others)
    before = mirrored(url)
    store.runs.repair_mirror(filled)
    assert mirrored(url) == before
    assert store.studies.load("first").trials[-1].spec == pruned


def test_confirm_runs_do_not_touch_the_mirror(
    filled: str, store: StudyStore, url: str, run_result: Callable[..., RunResult]
) -> None:
    run = store.runs.add(filled, 0, "confirm", 1)
    store.runs.finish(run.id, store.attempts.start(run.id, "me"), run_result(0.1))
    assert mirrored(url) == FILLED


@pytest.mark.parametrize("harm", ["delete", "fail", "enqueue", "none"])
def test_a_mirror_that_somebody_changed_is_made_again(filled: str, store: StudyStore, url: str, harm: str) -> None:
    study = open_mirror(url)
    if harm == "delete":
        optuna.delete_study(study_name="first", storage=open_storage(url))
    elif harm == "fail":
        study.tell(2, state=optuna.trial.TrialState.FAIL)
    elif harm == "enqueue":
        study.enqueue_trial({"x": 1})
    store.runs.repair_mirror(filled)
    assert mirrored(url) == FILLED
    assert open_mirror(url).user_attrs == {STUDY_ATTRIBUTE: filled}


def test_the_study_goes_on_when_the_mirror_was_deleted_under_it(
    filled: str,
    store: StudyStore,
    url: str,
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    running = store.studies.load("first").trials[2].runs[0]
    attempt = store.attempts.start(running.id, "me")
    optuna.delete_study(study_name="first", storage=open_storage(url))
    # SQLite gives the freed ids to somebody else's trials, which must stay as they are.
    somebodys = optuna.create_study(study_name="somebody's", storage=open_storage(url))
    for _ in range(5):
        somebodys.ask()
    store.runs.finish(running.id, attempt, run_result(0.5))
    store.runs.add_trial(filled, trial_spec("bitfit"), "tune", "tpe")
    assert {trial.state.name for trial in somebodys.trials} == {"RUNNING"}
    store.runs.repair_mirror(filled)  # a driver does that when it begins and ends, not in between beside others
    assert {trial.state.name for trial in somebodys.trials} == {"RUNNING"}
    assert mirrored(url) == [*FILLED[:2], ("COMPLETE", 0.5, "head"), ("RUNNING", None, "bitfit")]


def test_a_mirror_left_behind_by_a_kill_catches_up(
    filled: str,
    store: StudyStore,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    trial_spec: Callable[..., TrialSpec],
    run_result: Callable[..., RunResult],
) -> None:
    running = store.studies.load("first").trials[2].runs[0]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store._mirror, "finish", killed)
        patched.setattr(store._mirror, "add", killed)
        attempt = store.attempts.start(running.id, "me")
        with pytest.raises(KeyboardInterrupt):
            store.runs.finish(running.id, attempt, run_result(0.5))
        with pytest.raises(KeyboardInterrupt):
            store.runs.add_trial(filled, trial_spec("bitfit"), "tune", "tpe")
    assert mirrored(url) == FILLED
    before = [trial._trial_id for trial in open_mirror(url).trials]
    store.runs.repair_mirror(filled)
    assert mirrored(url) == [*FILLED[:2], ("COMPLETE", 0.5, "head"), ("RUNNING", None, "bitfit")]
    assert [trial._trial_id for trial in open_mirror(url).trials][:3] == before
    run = store.studies.load("first").trials[3].runs[0]
    store.runs.finish(run.id, store.attempts.start(run.id, "me"), run_result(0.25))
    assert mirrored(url)[3] == ("COMPLETE", 0.25, "bitfit")


def test_somebodys_own_optuna_study_is_never_overwritten(
    store: StudyStore, url: str, create: Callable[..., str]
) -> None:
    create("ours")
    study = optuna.create_study(study_name="theirs", storage=open_storage(url))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(StudyExistsError, match=r"name of an Optuna study .* got 'theirs'"):
        create("theirs")
    assert store.studies.find("theirs") is None
    assert len(open_mirror(url, "theirs").trials) == 1


def test_a_name_that_somebody_has_taken_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/theirs.db"
    check_new_name(url, "theirs")
    assert list(tmp_path.iterdir()) == []
    storage = open_storage(url)
    study = optuna.create_study(study_name="theirs", storage=storage)
    check_new_name(url, "theirs")  # without trials it is what a kill leaves of a mirror
    study.add_trial(optuna.trial.create_trial(value=1.0))
    storage.engine.dispose()
    before = (tmp_path / "theirs.db").read_bytes()
    with pytest.raises(StudyExistsError, match="theirs"):
        check_new_name(url, "theirs")
    check_new_name(url, "ours")
    assert (tmp_path / "theirs.db").read_bytes() == before
    StudyStore.open(url).close()
    with pytest.raises(StudyExistsError, match="theirs"):
        check_new_name(url, "theirs")


def test_a_mirror_of_ours_takes_no_name(filled: str, url: str) -> None:
    check_new_name(url, "first")


def test_deleting_a_study_deletes_its_mirror_alone(
    filled: str, store: StudyStore, url: str, create: Callable[..., str]
) -> None:
    create("second")
    optuna.create_study(study_name="theirs", storage=open_storage(url))
    store.studies.delete("first")
    assert sorted(optuna.get_all_study_names(open_storage(url))) == ["second", "theirs"]


def test_optuna_dashboard_serves_the_mirror(filled: str, url: str) -> None:
    dashboard = pytest.importorskip("optuna_dashboard._app", reason="optuna-dashboard is not installed")
    app = dashboard.create_app(open_storage(url))
    status: list[str] = []

    def get(path: str) -> dict[str, object]:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "80",
                   "wsgi.url_scheme": "http"}  # fmt: skip
        body = b"".join(app(environ, lambda line, headers, error=None: status.append(line)))
        answer: dict[str, object] = json.loads(body)
        return answer

    studies = get("/api/studies")["study_summaries"]
    assert [study["study_name"] for study in studies] == ["first"]
    trials = get(f"/api/studies/{studies[0]['study_id']}")["trials"]
    assert [trial["state"] for trial in trials] == ["Complete", "Fail", "Running"]
    assert {param["name"] for param in trials[1]["params"]} >= {"method", "training.learning_rate", "lora.rank"}
    assert {line.split()[0] for line in status} == {"200"}


def test_a_repair_is_tried_again_where_others_write(
    filled: str, store: StudyStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild, tries = store._mirror.rebuild, []

    def disturbed(record: StudyRecord) -> dict[int, int]:
        tries.append(record.id)
        if len(tries) < 3:
            raise MirrorChangedError("somebody wrote")
        return rebuild(record)

    monkeypatch.setattr(store._mirror, "rebuild", disturbed)
    store.runs.repair_mirror(filled)
    assert tries == [filled] * 3
    assert mirrored(url) == FILLED


def test_a_mirror_that_others_write_all_the_time_is_left_to_them(
    filled: str, store: StudyStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def disturbed(record: StudyRecord) -> dict[int, int]:
        tries.append(record.id)
        raise MirrorChangedError("somebody wrote")

    monkeypatch.setattr(store._mirror, "rebuild", disturbed)
    store.runs.repair_mirror(filled)
    assert len(tries) > 3
    assert mirrored(url) == FILLED


@pytest.mark.parametrize("answer", [{}, KeyError("Record does not exist.")], ids=["not marked yet", "replaced"])
def test_a_mirror_that_another_driver_writes_in_this_moment_is_looked_at_again(
    answer: dict[str, object] | KeyError, filled: str, store: StudyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, looks = store._mirror._storage.get_study_user_attrs, []

    def at_first(study: int) -> dict[str, object]:
        looks.append(study)
        if len(looks) > 1:
            return read(study)
        if isinstance(answer, KeyError):
            raise answer
        return answer

    monkeypatch.setattr(store._mirror._storage, "get_study_user_attrs", at_first)
    store._mirror.check_name("first")
    assert len(looks) == 2


def test_a_study_is_made_although_others_write_its_mirror(
    create: Callable[..., str], store: StudyStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disturbed(*given: str) -> None:
        raise MirrorChangedError("somebody wrote")

    with monkeypatch.context() as patch:
        patch.setattr(store._mirror, "create", disturbed)
        made = create()
    store.runs.repair_mirror(made)
    assert mirrored(url) == []
