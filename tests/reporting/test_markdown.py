from __future__ import annotations

import re

import pytest
from made_record import made_record, made_trial, whole_record
from made_studies import ODD, studies

from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.markdown import render_markdown


def test_verdict_tables_and_command_are_there() -> None:
    text = render_markdown(build_report(whole_record()))
    assert text.startswith("# questions\n\n**lora is best")
    assert "| lora (best) | 0.880 ± 0.043 | 0.900 ± 0.027 | – | 3 |" in text
    for part in ("## Labels of lora", "## Gates of unipelt_apl, trial 5", "The bar for UniPELT", "| lora.rank | 8 |"):
        assert part in text
    assert "    unipelt-search run --data questions" in text


def test_a_users_text_is_not_read_as_markdown() -> None:
    record = made_record(made_trial(0, "head", 0.5), notices=("a | <img onerror=x>\n# title",))
    assert "- a \\| \\<img onerror=x\\> \\# title" in render_markdown(build_report(record))


@pytest.mark.parametrize("name", studies())
def test_every_study_makes_tables_of_even_width(name: str) -> None:
    report = build_report(studies()[name])
    blocks = render_markdown(report).split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert tables
    for header, rule, *body in tables:
        assert re.fullmatch(r"\|(---:?\|)+", rule)
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in (header, rule, *body)}
        assert len(widths) == 1
        assert all(line.startswith("| ") and line.endswith(" |") for line in body)


def test_only_underscores_that_could_be_emphasis_are_escaped() -> None:
    record = made_record(made_trial(0, "head", 0.5), notices=("a_b 1_2 __c__ _d_ e_",))
    assert "- a_b 1_2 \\_\\_c\\_\\_ \\_d\\_ e\\_" in render_markdown(build_report(record))


def test_odd_labels_stay_in_their_cells() -> None:
    text = render_markdown(build_report(whole_record(ODD)))
    assert "\\<script\\>alert" in text
    assert not re.search(r"(?<!\\)<", text)
    assert 'it\'s "quoted" \\| \\`piped\\` \\& \\<b\\>bold' in text


def test_negative_scores_have_a_real_minus() -> None:
    text = render_markdown(build_report(studies()["regression"]))
    assert "| head | −0.213 ± 0.297 |" in text
    assert "Labels" not in text
