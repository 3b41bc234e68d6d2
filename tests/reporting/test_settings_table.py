from __future__ import annotations

from made_record import made_record, whole_record

from unipelt_search.records.report import LeaderboardRow
from unipelt_search.reporting.assemble import build_report
from unipelt_search.reporting.settings_table import settings_table


def test_every_setting_has_a_value_or_nothing_for_each_method() -> None:
    rows, settings = settings_table(build_report(whole_record()))
    names = [row.method for row in rows]
    assert "majority" not in names
    values = dict(settings)
    assert all(len(row) == len(names) for row in values.values())
    assert dict(zip(names, values["lora.rank"], strict=True))["lora"] == "8"
    assert dict(zip(names, values["lora.rank"], strict=True))["head"] == ""
    assert values["head_parameters"][0] == "2,310"
    assert settings_table(build_report(made_record())) == ([], [])


def test_a_setting_that_is_on_or_off_is_said_so() -> None:
    report = build_report(whole_record())
    row = next(row for row in report.leaderboard if row.config)
    changed = row.model_copy(update={"config": {"prefix.position_shift": True, "some.switch": False, "lora.rank": 1}})
    kept = LeaderboardRow.model_validate_json(changed.model_dump_json())
    assert settings_table(report.model_copy(update={"leaderboard": (kept,)}))[1] == [
        ("prefix.position_shift", ["on"]),
        ("some.switch", ["off"]),
        ("lora.rank", ["1"]),
    ]
