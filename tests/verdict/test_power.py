from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from unipelt_search.verdict.crossed import difference_estimate, method_scores, pool_luck
from unipelt_search.verdict.folds import FoldedSources
from unipelt_search.verdict.power import (
    DifferenceSources,
    Remedy,
    detectable_difference,
    difference_sources,
    planned_error,
    remedy,
    repeats_remedy,
)

FOLDED = FoldedSources(mean=0.0, rows=400, folds=5, repeats=2, examples=0.03, residuals=0.06, luck=0.001, noise=0.001)
SOURCES = DifferenceSources(examples=0.04, luck=(2e-4, 2e-4), residuals=(0.035, 0.035))


def test_a_study_of_the_same_size_has_the_error_that_was_measured() -> None:
    random = np.random.default_rng(0)
    shifts = 0.7 * random.normal(size=(2, 5, 1)) + random.normal(size=(2, 1, 80))
    pair = pool_luck([method_scores(rows + random.normal(size=(5, 80))) for rows in shifts])
    measured = difference_estimate(*pair)
    sources = difference_sources(*pair)
    assert min(sources.luck) > 0
    assert planned_error(sources, 5, 80) == pytest.approx((measured.error, measured.freedom))


def test_the_components_are_found_in_data_that_has_them() -> None:
    random = np.random.default_rng(0)
    own = random.normal(0, 0.3, (2, 1, 3000))
    scores = own + random.normal(0, 0.2, (2, 400, 1)) + random.normal(0, 0.5, (2, 400, 3000))
    sources = difference_sources(*(method_scores(rows) for rows in scores))
    assert sources.examples == pytest.approx(0.18, rel=0.1)
    assert sources.luck == pytest.approx((0.04, 0.04), rel=0.2)
    assert sources.residuals == pytest.approx((0.25, 0.25), rel=0.02)


def test_a_difference_of_that_size_is_seen_in_four_studies_of_five() -> None:
    random = np.random.default_rng(0)
    scales, pulls = np.sqrt(random.chisquare(6, 20_000) / 6), random.normal(size=20_000)
    size = detectable_difference(1.0, 6.0)
    seen = (pulls + size) / scales > stats.t.ppf(0.975, 6)
    assert seen.mean() == pytest.approx(0.8, abs=0.012)  # four standard errors of a share


def test_known_variances_give_the_textbooks_2_8_standard_errors() -> None:
    assert detectable_difference(0.5, 1e7) == pytest.approx(0.5 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)))
    assert detectable_difference(0.5, 10, methods=7) > detectable_difference(0.5, 10) > detectable_difference(0.5, 1e7)


def sees(difference: float, seeds: int, rows: int, methods: int = 2) -> bool:
    size = detectable_difference(*planned_error(SOURCES, seeds, rows, methods=methods), methods=methods)
    return size <= difference


def test_more_seeds_where_these_are_enough_and_not_one_too_many() -> None:
    answer = remedy(SOURCES, 0.03, 3, 1000)
    assert answer is not None
    assert answer.rows == 0
    assert sees(0.03, 3 + answer.seeds, 1000)
    assert not sees(0.03, 2 + answer.seeds, 1000)


def test_more_rows_where_no_number_of_seeds_is_enough() -> None:
    steady = DifferenceSources(examples=0.04, luck=(1e-6, 1e-6), residuals=(0.035, 0.035))
    answer = remedy(steady, -0.03, 3, 200)
    assert answer is not None
    assert answer.seeds == 0
    found = [detectable_difference(*planned_error(steady, 3, 200 + answer.rows - fewer)) for fewer in (0, 1)]
    assert found[0] <= 0.03 < found[1]


def test_both_where_neither_alone_is_enough() -> None:
    answer = remedy(SOURCES, 0.03, 3, 200)
    assert answer is not None
    assert answer.seeds > 0
    assert sees(0.03, 3 + answer.seeds, 200 + answer.rows)
    assert not sees(0.03, 3 + answer.seeds, 199 + answer.rows)


def test_nothing_settles_a_difference_that_is_not_there() -> None:
    assert remedy(SOURCES, 0.0, 3, 1000) is None
    assert remedy(SOURCES, 1e-5, 3, 1000) is None
    alike = DifferenceSources(examples=0.0, luck=(0.0, 0.0), residuals=(0.0, 0.0))
    assert remedy(alike, 0.0, 3, 1000) is None
    assert repeats_remedy(FOLDED) is None
    assert repeats_remedy(replace(FOLDED, examples=0.0, residuals=0.0, luck=0.0, noise=0.0)) is None


def test_more_repeats_of_folds_where_these_are_enough_and_not_one_too_many() -> None:
    difference = replace(FOLDED, mean=-0.04)
    answer = repeats_remedy(difference, methods=3)
    assert answer is not None
    assert answer.rows == 0
    found = [detectable_difference(*difference.error(2 + answer.seeds - fewer), methods=3) for fewer in (0, 1)]
    assert found[0] <= 0.04 < found[1]
    assert repeats_remedy(replace(FOLDED, mean=0.005)) is None  # the rows are the limit


def test_a_difference_that_is_seen_needs_nothing() -> None:
    assert remedy(SOURCES, 0.5, 5, 1000) == Remedy(seeds=0, rows=0)
