"""A study whose method came from a package that is gone: it can be read, and what needs the package names it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from made_record import made_record, made_result, made_trial
from plugin_packages import Packages, packages  # noqa: F401

from unipelt_search import export_model, list_studies, open_study, plan_study, run_study
from unipelt_search.cli.app import main
from unipelt_search.errors import MachineError
from unipelt_search.methods.catalogue import find_submodule, plugin_packages, reload_catalogue
from unipelt_search.methods.plugins import plugin_versions
from unipelt_search.specs.study import SpaceSpec
from unipelt_search.storage.store import StudyStore

GATED = "unipelt[lora,reft]"
SIX = "unipelt[adapter,parallel_adapter,prefix,lora,bitfit,ia3]"


def stored(url: str, *methods: str) -> None:
    """Store a complete study of these methods, one confirmed trial each."""
    spec = made_record().spec
    spec = spec.model_copy(update={"space": SpaceSpec(methods=methods)})
    plugins = plugin_packages(spec.space.compared)
    task = made_record().task.model_copy(update={"plugins": plugins})
    with closing(StudyStore.open(url)) as store:
        study = store.studies.create(spec, task, {"torch": "2"} | plugin_versions(plugins.values()), "a command")
        for number, method in enumerate(methods):
            trial = made_trial(number, method, 0.7)
            search = store.runs.add_trial(study, trial.spec, "screen", "published")
            runs = [search, store.runs.add(study, number, "confirm", 1), store.runs.add(study, number, "confirm", 2)]
            for run in runs:
                attempt = store.attempts.start(run.id, "me")
                value = 0.7 + number / 10 + run.seed_index / 100
                confirm = run.phase == "confirm"
                result = made_result(method, value, confirm=confirm, first=run.seed_index == 1)
                store.runs.finish(run.id, attempt, result.model_copy(update={"checkpoint": str(number)}))


@pytest.fixture
def url(packages: Packages, tmp_path: Path) -> str:  # noqa: F811
    """Store a study with a plug-in, then remove the plug-in."""
    packages.install()
    address = f"sqlite:///{tmp_path}/studies.db"
    stored(address, "head", "lora", "reft", GATED)
    packages.remove_all()
    return address


def test_readers_show_it(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.name for line in list_studies(storage=url)] == ["questions"]
    study = open_study("questions", storage=url)
    report = study.report
    assert {row.method for row in report.leaderboard} == {"majority", "head", "lora", "reft", GATED}
    best = report.leaderboard[0]
    assert (best.method, best.config["reft.rank"], best.config["reft.where"]) == (GATED, 4, "all")
    assert {row.submodule for row in report.ablation if row.method == GATED} == {"lora", "reft"}
    assert report.study.software["unipelt-reft"] == "1.0"
    assert report.upper_bound.of is not None
    assert "reft" in report.upper_bound.of
    for command in ("studies", "report", "gates"):
        name = [] if command == "studies" else ["questions"]
        assert main([command, *name, "--storage", url]) in {0, None}
    printed = " ".join(capsys.readouterr().out.split())
    assert GATED in printed
    assert main(["report", "questions", "--format", "html", "--storage", url]) in {0, None}
    assert GATED in capsys.readouterr().out


def test_what_needs_the_package_names_it(
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    packages: Packages,  # noqa: F811
) -> None:
    record = open_study("questions", storage=url).record
    assert record.task.plugins == {"reft": "unipelt-reft"}
    with pytest.raises(MachineError, match="'unipelt-reft'"):
        export_model("questions", tmp_path / "model", storage=url)
    (tmp_path / "rows.csv").write_text("sentence,label\n" + "".join(f"row {n},{n % 2}\n" for n in range(400)))
    task = record.spec.task.model_copy(update={"data": str(tmp_path / "rows.csv")})
    asked = record.spec.model_copy(update={"task": task})
    for search in (run_study, plan_study):
        with pytest.raises(MachineError, match="'unipelt-reft'"):
            search(asked, storage=url)
    file = tmp_path / "study.yaml"
    file.write_text(json.dumps(asked.model_dump(mode="json")))
    for words in (["resume", "questions"], ["run", str(file)], ["export", "questions", "--to", str(tmp_path / "m")]):
        assert main([*words, "--storage", url]) == 2
        assert "'unipelt-reft'" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
    packages.install()
    settings = find_submodule("reft").settings
    assert settings is not None
    assert open_study("questions", storage=url).record.trials[3].spec.part("reft", settings) == settings()


def test_a_study_without_plugins_stores_nothing_of_them(tmp_path: Path) -> None:
    reload_catalogue()
    address = f"sqlite:///{tmp_path}/studies.db"
    stored(address, "lora", SIX)
    record = open_study("questions", storage=address).record
    assert "plugins" not in record.task.model_dump()
    assert record.software == {"torch": "2"}
    assert record.trials[1].method == record.trials[1].spec.method == SIX
