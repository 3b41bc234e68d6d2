"""A Ray cluster of two machines, one of which dies while it trains: its runs finish on the other one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from exported_study import save_toy
from ray.cluster_utils import Cluster

from unipelt_search import run_study
from unipelt_search.errors import MachineError
from unipelt_search.records.history import RunState, StudyState
from unipelt_search.records.progress import StudyProgress
from unipelt_search.specs.study import BackboneSpec, BudgetSpec, MachineSpec, SpaceSpec, StudySpec, TaskSpec
from unipelt_search.storage.store import StudyStore

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head that trains one run at a time; machines can be added and taken away."""
    assert not ray.is_initialized()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    ray.shutdown()
    made.shutdown()
    logging.getLogger("ray").setLevel(logging.NOTSET)


def toy_spec(folder: Path, address: str, **machine: float) -> StudySpec:
    save_toy(folder, rows=240, hidden_size=64)
    return StudySpec(
        name="toy",
        task=TaskSpec(data=str(folder / "rows.csv"), text=("sentence",), label="kind"),
        backbone=BackboneSpec(model=str(folder / "model")),
        space=SpaceSpec(methods=("unipelt_al",), steps=160, evaluations=8, patience=8),
        budget=BudgetSpec(trials=2, seeds=1),
        machine=MachineSpec(address=address, device="cpu", **machine),
    )


def test_the_runs_of_a_machine_that_dies_finish_elsewhere(cluster: Cluster, tmp_path: Path) -> None:
    other = cluster.add_node(num_cpus=1)
    events: list[str] = []
    trained: set[str] = set()

    def watch(progress: StudyProgress) -> None:
        events.append(progress.event)
        if "at step" in progress.event:
            trained.add(progress.event.partition(":")[0])
        if len(trained) == 2 and len(progress.running) == 2 and other in cluster.worker_nodes:
            cluster.remove_node(other, allow_graceful=False)

    study = run_study(
        toy_spec(tmp_path, cluster.address), storage=f"sqlite:///{tmp_path}/s.db", out=tmp_path / "out", watch=watch
    )
    assert other not in cluster.worker_nodes
    assert study.record.state is StudyState.COMPLETE
    runs = [run for trial in study.record.trials for run in trial.runs]
    assert {run.state for run in runs} == {RunState.COMPLETE}, events
    assert sorted(run.attempt for run in runs) == [1] * (len(runs) - 1) + [2], events
    (again,) = [notice for notice in study.record.notices if notice.code == "run_again_elsewhere"]
    assert again.values["cause"] == "The machine that trained this run was lost."
    store = StudyStore.open(f"sqlite:///{tmp_path}/s.db")
    assert store.attempts.owners(study.record.id) == frozenset()
    store.close()


def test_more_than_the_cluster_has_is_refused_at_once(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="--cpus-per-trial must fit on the cluster; got 3, there are 1 cores"):
        run_study(toy_spec(tmp_path, cluster.address, cpus_per_trial=3), storage=f"sqlite:///{tmp_path}/s.db")
