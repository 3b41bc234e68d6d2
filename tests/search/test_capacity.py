from __future__ import annotations

import pytest

from unipelt_search.errors import RequestError
from unipelt_search.search.capacity import Capacity, fit_cluster, fit_workers
from unipelt_search.specs.study import MachineSpec


def fit(cores: float = 8, gpus: float = 0, **machine) -> Capacity:
    return fit_workers(MachineSpec(**machine), cores=cores, gpus=gpus)


def test_a_cpu_machine_gets_one_worker_per_core() -> None:
    assert fit() == Capacity("cpu", 8, 1.0, 0.0)
    assert fit().threads == 1
    assert fit(cpus_per_trial=3) == Capacity("cpu", 2, 3.0, 0.0)
    assert fit(cpus_per_trial=3).threads == 3


def test_an_explicit_number_of_workers_is_taken_on_this_machine_and_capped_on_a_cluster() -> None:
    assert fit(concurrency=20).workers == 20
    assert fit(concurrency=20, address="ray://somewhere:1").workers == 8
    assert fit(concurrency=1).workers == 1


def test_a_gpu_machine_gets_one_worker_per_gpu_or_fraction() -> None:
    assert fit(gpus=2) == Capacity("cuda", 2, 1.0, 1.0)
    assert fit(gpus=2, gpus_per_trial=0.25) == Capacity("cuda", 8, 1.0, 0.25)
    assert fit(gpus=2, gpus_per_trial=0.3).workers == 6  # 3 on each
    assert fit(gpus=3, gpus_per_trial=2).workers == 1
    assert fit(gpus=2, concurrency=5).workers == 2
    assert fit(gpus=2, device="cpu") == Capacity("cpu", 8, 1.0, 0.0)
    assert fit(gpus=2, gpus_per_trial=0).device == "cpu"


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        ({"device": "cuda"}, "--device cuda needs a GPU for each run; got no GPU on this machine"),
        ({"gpus_per_trial": 1}, "--gpus-per-trial must fit on this machine; got 1, there are 0 GPUs"),
        ({"cpus_per_trial": 9}, "--cpus-per-trial must fit on this machine; got 9, there are 8 cores"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(machine: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        fit(**machine)


def test_a_gpu_without_a_share_is_refused() -> None:
    with pytest.raises(RequestError, match="got --gpus-per-trial 0"):
        fit(gpus=1, device="cuda", gpus_per_trial=0)


def test_a_cluster_is_divided_by_what_ray_says_of_it() -> None:
    resources = {"CPU": 6.0, "GPU": 2.0, "memory": 1e9}
    assert fit_cluster(MachineSpec(), resources) == Capacity("cuda", 2, 1.0, 1.0)
    assert fit_cluster(MachineSpec(device="cpu"), resources).workers == 6
    with pytest.raises(RequestError, match="--cpus-per-trial must fit on the cluster; got 1, there are 0 cores"):
        fit_cluster(MachineSpec(), {})
