from __future__ import annotations

from unipelt_search.records.notice import LEGACY, MAX_NAMED, Notice, facts, first_values, without_facts

SEVERITIES = ("fact", "info", "warning", "fact")


def test_a_sentence_of_an_older_version_is_a_notice() -> None:
    notice = Notice.model_validate("The split was halved.")
    assert (notice.code, notice.severity, notice.values) == (LEGACY, "info", {"sentence": "The split was halved."})


def test_a_notice_is_the_same_after_json() -> None:
    values = {"labels": ("a", "b"), "share": 0.5, "rows": 3, "unused": True, "limit": None}
    notice = Notice(code="rare_labels", severity="warning", values=values)
    assert Notice.model_validate_json(notice.model_dump_json()) == notice


def test_long_lists_are_kept_by_their_first_values_and_their_length() -> None:
    assert first_values("rows", (2, 4)) == {"rows": ("2", "4"), "rows_count": 2}
    many = first_values("labels", range(100))
    assert len(many["labels"]) == MAX_NAMED
    assert many["labels_count"] == 100


def test_facts_are_told_apart_in_their_order() -> None:
    notices = [Notice(code=code, severity=severity) for code, severity in zip("abcd", SEVERITIES, strict=True)]
    assert [notice.code for notice in facts(notices)] == ["a", "d"]
    assert [notice.code for notice in without_facts(notices)] == ["b", "c"]
