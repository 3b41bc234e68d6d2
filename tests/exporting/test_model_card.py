from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from described_model import described
from made_record import gate_row

from unipelt_search.exporting.model_card import CardFacts, find_licence, merged_card, model_card
from unipelt_search.records.report import Interval, LeaderboardRow, ReportedGate

ROW = LeaderboardRow(
    method="unipelt_al", trial=2, phase="confirm", runs=3, config={},
    validation=Interval(mean=0.81234, sd=0.01, low=0.79, high=0.83),
    test=Interval(mean=0.8, sd=None, low=None, high=None),
    difference_to_best=None, trained_parameters=1000, stored_parameters=900, train_seconds=1.0,
    predict_ms_per_example=1.0, peak_memory_mb=1.0,
)  # fmt: skip


def test_a_card_says_what_a_stranger_needs() -> None:
    gates = [
        ReportedGate(**gate_row(layer, gate, mean).model_dump(), trial=2, method="unipelt_al", runs=3)
        for layer, gate, mean in ((0, "adapter", 0.25), (0, "lora_query", 0.5), (1, "adapter", 0.75))
    ]
    card = model_card(described(), CardFacts("reviews-1", ROW, gates, "apache-2.0"))
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["base_model"] == "org/small"
    assert front["pipeline_tag"] == "text-classification"
    for words in (
        "`org/small`, revision `c0ffee`, pooling `mean`", "`apache-2.0`", "2 labels: no, yes", "fingerprint `abab",
        "3 runs with different seeds", "| 0.8123 | 0.7900 to 0.8300 |", "| 0.8000 | one run |",
        "900 parameters are stored",
        "| 0 | 0.25 | 0.50 |", "| 1 | 0.75 |  |", 'load_model("this folder")', "torch 2.13",
    ):  # fmt: skip
        assert words in card, words


def test_what_is_not_known_is_said_or_left_out() -> None:
    card = model_card(described(), CardFacts("reviews-1", None, [], None))
    assert "not stated by its card" in card
    assert "## Scores" not in card
    assert "## Gates" not in card


def test_words_of_a_dataset_are_no_markup() -> None:
    card = model_card(described(name="a|b\n# c", labels=("<script>", "[x](y)")), CardFacts("s", None, [], None))
    assert "<script>" not in card.replace("\\<script", "")
    assert "a\\|b # c" in card
    assert "\n# c" not in card


def test_a_merged_model_is_loaded_by_its_library_alone() -> None:
    facts = CardFacts("reviews-1", ROW, [], "mit")
    for library in ("transformers", "sentence-transformers"):
        card = merged_card(described(text=("one", "two")), facts, library)
        assert yaml.safe_load(card.split("---\n")[1])["library_name"] == library
        assert "unipelt_search" not in card
        assert "not in this folder" not in card
        assert '"another text"' in card
        assert "1. `yes`" in card
    number = described(kind="regression", labels=(), mean=3.0, sd=2.0)
    assert "2.0" not in merged_card(number, facts, "transformers").split("## Its outputs")[1]


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("---\nlicense: mit\n---\n# x", "mit"),
        ("---\nlicense: [a, b]\n---\n", None),
        ("---\n: : :\n- x\n---\n", None),
        ("# no front matter", None),
        (None, None),
    ],
)
def test_the_licence_is_the_cards(tmp_path: Path, text: str | None, licence: str | None) -> None:
    if text is not None:
        (tmp_path / "README.md").write_text(text)
    assert find_licence(str(tmp_path)) == licence
