"""The configurations of the leaderboard side by side."""

from __future__ import annotations

from unipelt_search.records.report import LeaderboardRow, StudyReport

Settings = list[tuple[str, list[str]]]
"""The name of each setting, with its value in each column."""


def settings_table(report: StudyReport) -> tuple[list[LeaderboardRow], Settings]:
    """Lay out the configurations as a table.

    Args:
        report: The report.

    Returns:
        The leaderboard rows with a configuration, the table's columns; and for each setting its value in each of them,
        empty where a method has no such setting.
    """
    rows = [row for row in report.leaderboard if row.config]
    names = dict.fromkeys(name for row in rows for name in row.config)
    settings = []
    for name in names:
        values = [_value(row, name) for row in rows]
        settings.append((name, values))
    return rows, settings


def _value(row: LeaderboardRow, name: str) -> str:
    if name not in row.config:
        return ""
    found = row.config[name]
    if found is None:
        return "none"
    # Before the numbers: True is an int too.
    if isinstance(found, bool):
        return "on" if found else "off"
    if isinstance(found, float):
        return f"{found:.3g}"
    return f"{found:,}" if isinstance(found, int) else found
