"""How every seed is derived from the one seed that the user gives.

A seed is a pure function of the study's seed and a path of names, so it does not depend on the order in
which runs happen to start, on the worker, or on the number of workers::

    study seed ─┬─ "data"                     which rows are drawn and how splits are carved
                ├─ "proposal", trial number   what the sampler proposes for that trial
                └─ "run", seed index [, fold] ─┬─ "init"     the initial values of trained tensors
                                               ├─ "order"    the order of the training rows
                                               └─ "dropout"  the dropout masks

Seed index 0 is used by every run of the screen and tune phases (all configurations meet the same luck),
indices 1, 2, … by the confirm phase, so that no confirmed score was seen while choosing.
"""

from __future__ import annotations

import hashlib
import json

from unipelt_search.frozen import Frozen

SEARCH_SEED_INDEX = 0


class RunSeeds(Frozen):
    """The seeds of one run, each a non-negative integer below 2**63."""

    init: int
    order: int
    dropout: int


def derive_seed(root: int, *path: str | int) -> int:
    """Derive a seed from a root seed and a path.

    Args:
        root: The study's seed.
        path: Names and numbers that say what the seed is for.

    Returns:
        An integer in [0, 2**63).
    """
    text = json.dumps([root, *path])
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def data_seed(study_seed: int) -> int:
    """Return the seed that draws rows and carves splits."""
    return derive_seed(study_seed, "data")


def proposal_seed(study_seed: int, trial_number: int) -> int:
    """Return the sampler's seed for one trial."""
    return derive_seed(study_seed, "proposal", trial_number)


def run_seeds(study_seed: int, seed_index: int, fold: int = 0) -> RunSeeds:
    """Return the seeds of the runs with one seed index and one fold.

    Args:
        study_seed: The study's seed.
        seed_index: 0 in the screen and tune phases, 1 and up in the confirm phase.
        fold: From 1 where folds decide, else 0.

    Returns:
        The three seeds.
    """
    path = ("run", seed_index, fold) if fold else ("run", seed_index)
    return RunSeeds(
        init=derive_seed(study_seed, *path, "init"),
        order=derive_seed(study_seed, *path, "order"),
        dropout=derive_seed(study_seed, *path, "dropout"),
    )


def run_number(seed_index: int, fold: int, folds: int) -> int:
    """Count a trial's runs.

    Args:
        seed_index: The run's seed index; with folds, its repeat.
        fold: Its fold from 1, or 0.
        folds: Folds of a repeat, or 0.

    Returns:
        0 for the search run; 1, 2, … for the confirm runs, repeat by repeat.
    """
    return (seed_index - 1) * folds + fold if fold else seed_index
