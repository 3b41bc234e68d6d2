from __future__ import annotations

from made_record import made_record, made_trial, whole_record

from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.markdown import render_markdown


def test_verdict_tables_and_command_are_there() -> None:
    text = render_markdown(build_report(whole_record()))
    assert text.startswith("# questions\n\n**lora is best")
    assert "| lora | 0.880 ± 0.025 | 0.900 ± 0.025 |" in text
    assert "## Gates of unipelt\\_apl" in text or "## Gates of unipelt_apl" in text
    assert "    unipelt-search run --data questions" in text


def test_a_users_text_is_not_read_as_markdown() -> None:
    record = made_record(made_trial(0, "head", 0.5), notices=("a | <img onerror=x>\n# title",))
    assert "- a \\| \\<img onerror=x\\> # title" in render_markdown(build_report(record))
