from __future__ import annotations

from itertools import pairwise

import pytest
from made_record import made_record, made_trial, whole_record

from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.figures import Axis, scatter, score_axis, shade

REPORT = build_report(whole_record())


def test_an_axis_holds_every_interval_and_has_round_ticks() -> None:
    axis = score_axis(REPORT.leaderboard, 200)
    ends = [row.validation.high or row.validation.mean for row in REPORT.leaderboard]
    assert axis.low < 0.25
    assert axis.high > max(ends)
    assert axis.ticks == (0.4, 0.6, 0.8) or len(axis.ticks) in range(3, 7)
    assert all(b - a == pytest.approx(axis.ticks[1] - axis.ticks[0]) for a, b in pairwise(axis.ticks))
    assert Axis(0, 1, 100).place(2) == 100


def test_the_scale_is_even_and_the_text_on_it_can_be_read() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light = [luminance(shade(i / 20)[0]) for i in range(21)]
    assert light == sorted(light, reverse=True)
    for i in range(21):
        colour, dark_text = shade(i / 20)
        text = luminance("#10233c" if dark_text else "#f4f8fd")
        bright, dim = max(text, luminance(colour)), min(text, luminance(colour))
        assert (bright + 0.05) / (dim + 0.05) > 3


def test_the_scatter_has_every_confirmed_method_and_names_do_not_overlap() -> None:
    figure = scatter(REPORT)
    assert figure is not None
    assert {point.method for point in figure.points} == {
        "lora",
        "adapter",
        "unipelt_apl",
        "bitfit",
        "head",
        "fine_tuning",
    }
    for a, b in pairwise(sorted(figure.points, key=lambda p: p.label_y)):
        if a.anchor == b.anchor and abs(a.x - b.x) < 110:
            assert abs(a.label_y - b.label_y) >= 15
    assert scatter(build_report(made_record(made_trial(0, "head", 0.5, {1: 0.5})))) is None
