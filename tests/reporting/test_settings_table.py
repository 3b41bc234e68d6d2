from __future__ import annotations

from made_record import made_record, whole_record

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
