from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from faults.mariadb import MariaDB, running_mariadb
from faults.postgresql import Server, running_server
from made_results import make_costs, make_gate_row, make_run_result

from unipelt_search.methods.adapter_settings import AdapterSpec
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.lora_settings import LoraSpec
from unipelt_search.methods.prefix_settings import PrefixSpec
from unipelt_search.methods.training_settings import TrainingSpec
from unipelt_search.records.history import TaskSummary
from unipelt_search.records.notice import Notice
from unipelt_search.records.results import (
    AblationRow,
    EvaluationRow,
    GateName,
    GateValues,
    OutcomeRow,
    Predictions,
    RunResult,
)
from unipelt_search.specs.study import BackboneSpec, StudySpec, TaskSpec
from unipelt_search.specs.trial import TrialSpec
from unipelt_search.storage.store import StudyStore

TASK = TaskSummary(
    name="colours",
    kind="classification",
    labels=("red", "grün", "blue"),
    rows={"train": 30, "validation": 10, "test": 10, "tune": 5, "select": 5},
    metric="accuracy",
    direction="maximize",
    hidden_size=384,
    fingerprint="ab" * 8,
    majority={"select": {"accuracy": 0.4}, "test": {"accuracy": 0.3}},
    notices=(Notice(code="no_label", values={"rows": 5}),),
)

# In the order in which they are read again.
PREDICTIONS = tuple(
    Predictions(
        split=split,
        labels=(0, 1, 2, 1, 0),
        predicted=(0, 0, 2, 1, 1),
        probabilities=np.linspace(0, 1, 15, dtype="<f4").tobytes(),
        weights=(1.0, 0.5, 1 / 3, 2.0, 1.0),
    )
    for split in ("select", "test")
)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL of our own, gone with the tests."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def own_postgresql() -> Iterator[Server]:
    """A PostgreSQL that the tests of one file may stop."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB of our own, gone with the tests."""
    with running_mariadb() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/studies.db"
        return
    with request.getfixturevalue(request.param).database() as url:
        yield url


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/deep/er/100% {{mine}}.db"


@pytest.fixture
def store(url: str) -> Iterator[StudyStore]:
    opened = StudyStore.open(url)
    yield opened
    opened.close()


@pytest.fixture
def task() -> TaskSummary:
    return TASK


@pytest.fixture
def study_spec() -> Callable[..., StudySpec]:
    def make(name: str = "first", seed: int = 2**63 - 1) -> StudySpec:
        task = TaskSpec(data="demo", text=("sentence",), label="label")
        return StudySpec(name=name, task=task, backbone=BackboneSpec(model="minilm"), seed=seed)

    return make


@pytest.fixture
def create(store: StudyStore, study_spec: Callable[..., StudySpec]) -> Callable[..., str]:
    def make(name: str = "first") -> str:
        return store.studies.create(study_spec(name), TASK, {"torch": "2.13.0"}, f"unipelt-search run --name {name}")

    return make


@pytest.fixture
def trial_spec() -> Callable[..., TrialSpec]:
    def make(method: str = "lora", learning_rate: float = 1e-3) -> TrialSpec:
        training = TrainingSpec(learning_rate=learning_rate, steps=100)
        if method == "unipelt_apl":
            return TrialSpec(
                method=method,
                training=training,
                lora=LoraSpec(),
                adapter=AdapterSpec(),
                prefix=PrefixSpec(mlp=None),
                gate=GateSpec(prefix="logit"),
            )
        return TrialSpec(method=method, training=training, lora=LoraSpec(rank=4) if method == "lora" else None)

    return make


@pytest.fixture
def run_result() -> Callable[..., RunResult]:
    def make(tune: float = 0.75, confirmed: bool = True) -> RunResult:
        gates = tuple(
            make_gate_row(
                epoch=2.5, layer=layer, gate=gate, split="select", label=label, n=5, mean=1 / 3,
                contribution=None if label else 0.05,
            )
            for layer in (1, 0)
            for gate in ("prefix", "adapter")
            for label in (None, "grün", "red")
        )  # fmt: skip
        return make_run_result(
            tune,
            select={"accuracy": 0.7, "macro_f1": 2 / 3} if confirmed else None,
            test={"accuracy": 0.6, "macro_f1": 0.55} if confirmed else None,
            best_step=80,
            steps=100,
            evaluations=(
                EvaluationRow(step=0, epoch=0.0, train_loss=None, value=0.3, seconds=0.1),
                EvaluationRow(step=80, epoch=2.0, train_loss=0.1 + 0.2, value=tune, seconds=1.5),
                EvaluationRow(step=100, epoch=2.5, train_loss=0.2, value=0.7, seconds=2.0),
            ),
            gates=gates if confirmed else (),
            gate_values=GateValues(
                gates=(GateName(stack="encoder", layer=1, gate="prefix"),), rows=(0, 2), values=b"\x00\x38\x00\x34"
            )
            if confirmed
            else None,
            ablation=(
                AblationRow(submodule="prefix", layer=None, value=0.6, drop=0.1),
                AblationRow(submodule="adapter", layer=0, value=0.8, drop=-0.1),
            ),
            outcomes=(
                OutcomeRow(split="select", label="red", predicted="grün", n=2),
                OutcomeRow(split="test", label=None, predicted="red", n=1),
                OutcomeRow(split="test", label="red", predicted=None, n=3),
            )
            if confirmed
            else (),
            predictions=PREDICTIONS if confirmed else (),
            costs=make_costs(
                352_824, trained_parameters=3 * 10**9, head_parameters=1155, train_seconds=1.9,
                predict_ms_per_example=0.4 if confirmed else None, peak_memory_mb=512.5, examples_trained=1600,
                padding_share=0.125,
            ),
            checkpoint="runs/0/weights",
        )  # fmt: skip

    return make
