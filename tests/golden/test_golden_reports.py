"""Old databases, and one with a made study of every kind, are reported as release 0.1.0 reported them."""

from __future__ import annotations

from typing import Any

import pytest
from golden.observed import (
    DIGESTS,
    EXACT,
    HERE,
    MADE_STUDIES,
    REPORTS,
    differences,
    figures_of,
    read,
    reports_of,
    without_gates,
    without_pooled_quantiles,
    without_words,
)

# In one process, because what the tests compare is made once for all of them.
pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("golden reports")]
OLD = tuple(sorted(path.stem.removesuffix(".json") for path in REPORTS.glob("schema-*.json.gz")))


@pytest.fixture(scope="module", params=[*OLD, "made-studies"])
def printed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """What the commands printed then and what they print now, by study and command."""
    kept = read(REPORTS / f"{request.param}.json.gz")
    for name, digests in read(DIGESTS)[request.param].items():
        kept[name] |= digests
    database = MADE_STUDIES if request.param == "made-studies" else HERE.parent / "databases" / f"{request.param}.db"
    names = [name for name, study in kept.items() if "report json" in study]
    return kept, reports_of(database, names, tmp_path_factory.mktemp("reports"))


def commands(printed: Any, form: str) -> dict[str, Any]:
    """Return what was printed in one form, by study and command."""
    found = {}
    for name, study in printed.items():
        shown = {name: study} if "code" in study else {f"{name}: {command}": says for command, says in study.items()}
        found |= {command: says for command, says in shown.items() if form in says}
    return found


def test_exit_codes_are_the_same(printed: tuple[Any, Any]) -> None:
    kept, found = (
        {command: says["code"] for form in ("json", "digest", "text") for command, says in commands(part, form).items()}
        for part in printed
    )
    assert found == kept
    assert set(kept.values()) >= {0, 2}, "some of the commands must fail"


def test_json_is_the_same_to_the_digit(printed: tuple[Any, Any]) -> None:
    kept, found = (without_pooled_quantiles(without_words(commands(part, "json"))) for part in printed)
    assert differences(kept, found, EXACT) == []


def test_tables_and_pages_hold_the_same_numbers(printed: tuple[Any, Any]) -> None:
    kept, found = (commands(part, "digest") for part in printed)
    assert differences(kept, found, EXACT) == []


def test_texts_hold_the_same_figures(printed: tuple[Any, Any]) -> None:
    kept, found = (
        {command: figures_of(without_gates(says["text"])) for command, says in commands(part, "text").items()}
        for part in printed
    )
    assert differences(kept, found, EXACT) == []


def test_gates_of_several_runs_have_no_common_quantiles(printed: tuple[Any, Any]) -> None:
    """Their runs kept no gates, so the runs stand side by side."""
    kept, found = (part.get("two-labels", {}).get("report json", {}).get("json", {}) for part in printed)
    for old, row in zip(kept.get("gates", ()), found.get("gates", ()), strict=True):
        assert (row["q05"], row["q50"], row["q95"]) == (None, None, None)
        assert row["per_run"]["run"] == [1, 2, 3]
        assert old["q05"] < sum(row["per_run"]["q50"]) / 3 < old["q95"]
