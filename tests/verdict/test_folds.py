from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from unipelt_search.verdict.folds import folded_estimate, folded_sources


def made_folds(random: np.random.Generator, repeats: int, folds: int, size: int) -> np.ndarray:
    return np.stack([random.permutation(np.repeat(np.arange(folds), size)) for _ in range(repeats)])


def test_it_is_the_slow_transcription() -> None:
    random = np.random.default_rng(1)
    folds = made_folds(random, 3, 4, 6)
    shifts = random.normal(0, 1, (3, 4))
    x = np.array([[shifts[r, folds[r, i]] + random.normal() for i in range(24)] for r in range(3)])
    examples = sum((x[:, i].mean() - x.mean()) ** 2 for i in range(24)) / 23 / 24
    between, within = 0.0, 0.0
    for r in range(3):
        means = [np.mean([x[r, i] for i in range(24) if folds[r, i] == k]) for k in range(4)]
        between += sum((mean - np.mean(means)) ** 2 for mean in means) / 3 / 3
        for k in range(4):
            within += sum((x[r, i] - means[k]) ** 2 for i in range(24) if folds[r, i] == k) / 5 / 6 / 12
    variance = examples + (between - within) / 12
    degrees_of_freedom = variance**2 / (examples**2 / 23 + (between / 12) ** 2 / 9)
    estimate = folded_estimate(x, folds)
    assert between > within
    assert estimate.error**2 == pytest.approx(variance)
    assert estimate.degrees_of_freedom == pytest.approx(degrees_of_freedom)
    assert (estimate.low, estimate.high) == pytest.approx(
        stats.t.interval(0.95, degrees_of_freedom, x.mean(), np.sqrt(variance))
    )


def test_repeats_of_the_same_answers_are_no_further_examples() -> None:
    random = np.random.default_rng(0)
    predictions = (np.arange(40) % 4 > 0).astype(float)
    folds = np.stack([np.arange(40) // 8 for _ in range(5)])  # every fold is right on the same share
    estimate = folded_estimate(np.stack([predictions] * 5), folds)
    assert estimate.error == pytest.approx(stats.sem(predictions))
    shuffled = folded_estimate(np.stack([random.permutation(predictions) for _ in range(5)]), folds)
    assert shuffled.error < estimate.error


def test_it_covers_the_truth_where_runs_and_examples_differ() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(600):
        folds = made_folds(random, 2, 5, 10)
        shifts = random.normal(0, 0.4, (2, 5))
        x = 0.3 + random.normal(size=50) + np.take_along_axis(shifts, folds, axis=1) + random.normal(size=(2, 50))
        estimate = folded_estimate(x, folds)
        covered += estimate.low <= 0.3 <= estimate.high
    assert covered / 600 == pytest.approx(0.95, abs=0.03)  # 3.4 standard errors of a share


def test_the_components_are_found_in_data_that_has_them() -> None:
    random = np.random.default_rng(0)
    folds = made_folds(random, 60, 5, 200)
    shifts = np.take_along_axis(random.normal(0, 0.4, (60, 5)), folds, axis=1)
    x = random.normal(0, 0.5, 1000) + shifts + random.normal(0, 0.7, (60, 1000))
    sources = folded_sources(x, folds)
    assert sources.examples == pytest.approx(0.25, rel=0.15)
    assert sources.residuals == pytest.approx(
        0.49 + 0.16, rel=0.05
    )  # to a row, the luck of its run is one more residual
    assert sources.seed_variance == pytest.approx(0.16, rel=0.2)
    assert sources.residual_variance == pytest.approx((0.25 + 0.49) / 200, rel=0.05)


def test_the_error_of_more_repeats_is_that_of_studies_that_have_them() -> None:
    random = np.random.default_rng(4)

    def drawn(repeats: int) -> tuple[np.ndarray, np.ndarray]:
        folds = made_folds(random, repeats, 5, 10)
        shifts = np.take_along_axis(random.normal(0, 0.5, (repeats, 5)), folds, axis=1)
        return random.normal(size=50) + shifts + random.normal(size=(repeats, 50)), folds

    planned = [folded_sources(*drawn(2)).error(6)[0] ** 2 for _ in range(400)]
    measured = [folded_estimate(*drawn(6)).error ** 2 for _ in range(400)]
    assert np.mean(planned) == pytest.approx(np.mean(measured), rel=0.05)


@pytest.mark.parametrize(
    ("scores", "folds", "message"),
    [
        (np.zeros((1, 4)), np.zeros((2, 4), dtype=int), r"got \(1, 4\) and \(2, 4\)"),
        (np.zeros((1, 4)), np.zeros((1, 4), dtype=int), r"got the sizes \[4\]"),
        (np.zeros((1, 4)), np.array([[0, 0, 0, 1]]), r"got the sizes \[3, 1\]"),
    ],
)
def test_what_are_no_folds_is_refused(scores: np.ndarray, folds: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        folded_estimate(scores, folds)


def test_only_the_repeats_that_are_there_are_estimated() -> None:
    draw = np.random.default_rng(3)
    folds = made_folds(draw, 3, 4, 6)
    scores = draw.normal(size=(3, 24))
    gone = scores.copy()
    gone[1] = np.nan
    assert folded_estimate(gone, folds) == folded_estimate(scores[[0, 2]], folds[[0, 2]])
    with pytest.raises(ValueError, match=r"got \(0, 24\) and \(0, 24\)"):
        folded_estimate(np.full((3, 24), np.nan), folds)
