from __future__ import annotations

from unipelt_search.specs.seeds import data_seed, derive_seed, proposal_seed, run_number, run_seeds


def test_seeds_are_stable_between_releases() -> None:
    assert derive_seed(0, "data") == data_seed(0) == 7233480179947299078
    assert run_seeds(7, 2).dropout == 6328662992049189316


def test_every_path_has_its_own_seed() -> None:
    seeds = [data_seed(1), data_seed(2), proposal_seed(1, 0), proposal_seed(1, 1)]
    for index in range(3):
        run = run_seeds(1, index)
        seeds += [run.init, run.order, run.dropout]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(1, "a", "b") != derive_seed(1, "ab")


def test_every_fold_has_its_own_seeds_and_number() -> None:
    assert run_seeds(7, 2, 0) == run_seeds(7, 2)
    runs = [(0, 0), *((repeat, fold) for repeat in (1, 2, 3) for fold in range(1, 6))]
    assert len({run_seeds(7, *run) for run in runs}) == 16
    assert [run_number(*run, 5) for run in runs] == list(range(16))
    assert [run_number(seed_index, 0, 0) for seed_index in range(4)] == [0, 1, 2, 3]
