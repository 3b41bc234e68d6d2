from __future__ import annotations

from unipelt_search.specs.seeds import data_seed, derive_seed, proposal_seed, run_seeds


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
