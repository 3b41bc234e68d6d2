from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from unipelt_search.verdict.crossed import difference_estimate, method_scores, pool_seed_variance
from unipelt_search.verdict.folds import FoldedSources
from unipelt_search.verdict.power import (
    DifferenceSources,
    RequiredSample,
    detectable_difference,
    difference_sources,
    expected_detectable,
    planned_error,
    required_repeats,
    required_sample,
)

FOLDED = FoldedSources(
    mean=0.0, rows=400, folds=5, repeats=2, examples=0.03, residuals=0.06, seed_variance=0.001, residual_variance=0.001
)
SOURCES = DifferenceSources(examples=0.04, seed_variance=(2e-4, 2e-4), residuals=(0.035, 0.035))


def test_a_study_of_the_same_size_has_the_error_that_was_measured() -> None:
    random = np.random.default_rng(0)
    shifts = 0.7 * random.normal(size=(2, 5, 1)) + random.normal(size=(2, 1, 80))
    pair = pool_seed_variance([method_scores(rows + random.normal(size=(5, 80))) for rows in shifts])
    measured = difference_estimate(*pair)
    sources = difference_sources(*pair)
    assert min(sources.seed_variance) > 0
    assert planned_error(sources, 5, 80) == pytest.approx((measured.error, measured.degrees_of_freedom))


def test_the_components_are_found_in_data_that_has_them() -> None:
    random = np.random.default_rng(0)
    own = random.normal(0, 0.3, (2, 1, 3000))
    scores = own + random.normal(0, 0.2, (2, 400, 1)) + random.normal(0, 0.5, (2, 400, 3000))
    sources = difference_sources(*(method_scores(rows) for rows in scores))
    assert sources.examples == pytest.approx(0.18, rel=0.1)
    assert sources.seed_variance == pytest.approx((0.04, 0.04), rel=0.2)
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
    prediction = required_sample(SOURCES, 0.03, 3, 1000)
    assert prediction is not None
    assert prediction.rows == 0
    assert sees(0.03, 3 + prediction.seeds, 1000)
    assert not sees(0.03, 2 + prediction.seeds, 1000)


def test_more_rows_where_no_number_of_seeds_is_enough() -> None:
    steady = DifferenceSources(examples=0.04, seed_variance=(1e-6, 1e-6), residuals=(0.035, 0.035))
    prediction = required_sample(steady, -0.03, 3, 200)
    assert prediction is not None
    assert prediction.seeds == 0
    found = [detectable_difference(*planned_error(steady, 3, 200 + prediction.rows - fewer)) for fewer in (0, 1)]
    assert found[0] <= 0.03 < found[1]


def test_both_where_neither_alone_is_enough() -> None:
    prediction = required_sample(SOURCES, 0.03, 3, 200)
    assert prediction is not None
    assert prediction.seeds > 0
    assert sees(0.03, 3 + prediction.seeds, 200 + prediction.rows)
    assert not sees(0.03, 3 + prediction.seeds, 199 + prediction.rows)


def test_nothing_settles_a_difference_that_is_not_there() -> None:
    assert required_sample(SOURCES, 0.0, 3, 1000) is None
    assert required_sample(SOURCES, 1e-5, 3, 1000) is None
    alike = DifferenceSources(examples=0.0, seed_variance=(0.0, 0.0), residuals=(0.0, 0.0))
    assert required_sample(alike, 0.0, 3, 1000) is None
    assert required_repeats(FOLDED) is None
    assert (
        required_repeats(replace(FOLDED, examples=0.0, residuals=0.0, seed_variance=0.0, residual_variance=0.0)) is None
    )


def test_more_repeats_of_folds_where_these_are_enough_and_not_one_too_many() -> None:
    difference = replace(FOLDED, mean=-0.04)
    prediction = required_repeats(difference, methods=3)
    assert prediction is not None
    assert prediction.rows == 0
    found = [detectable_difference(*difference.error(2 + prediction.seeds - fewer), methods=3) for fewer in (0, 1)]
    assert found[0] <= 0.04 < found[1]
    assert required_repeats(replace(FOLDED, mean=0.005)) is None  # the rows are the limit


def test_a_difference_that_is_seen_needs_nothing() -> None:
    assert required_sample(SOURCES, 0.5, 5, 1000) == RequiredSample(seeds=0, rows=0)


def test_what_a_study_will_detect_is_near_what_such_studies_detected() -> None:
    # The demo: seven methods, three seeds, 200 rows; its report measured 0.086.
    assert expected_detectable(200, 3, methods=7) == pytest.approx(0.086, rel=0.15)
    # docs/verdict.md: two methods, 3 points apart, 1,500 rows and three seeds with a seed sd of 0.5 to 1.5.
    assert expected_detectable(1500, 3) == pytest.approx(0.033, rel=0.15)


@pytest.mark.parametrize("folds", [0, 5])
def test_more_rows_or_seeds_detect_less_and_more_methods_more(folds: int) -> None:
    def expected(rows: int, seeds: int, methods: int) -> float:
        found = expected_detectable(rows, seeds, methods=methods, folds=folds)
        assert found is not None
        return found

    assert expected(400, 3, 3) < expected(200, 3, 3) < expected(200, 2, 3)
    assert expected(200, 3, 3) <= expected(200, 3, 7)
    assert expected(10, 2, 7) <= 1


def test_where_there_will_be_no_interval_nothing_is_expected() -> None:
    assert expected_detectable(200, 1) is None
    assert expected_detectable(200, 3, methods=1) is None
    assert expected_detectable(1, 3) is None
    assert expected_detectable(200, 1, folds=5) is not None
