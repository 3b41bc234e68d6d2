"""The configurations of the leaderboard side by side."""

from __future__ import annotations

from unipelt_search.records.report import LeaderboardRow, StudyReport


def settings_table(report: StudyReport) -> tuple[list[LeaderboardRow], list[tuple[str, list[str]]]]:
    """Lay out the configurations as a table.

    Args:
        report: The report.

    Returns:
        The leaderboard rows with a configuration, the table's columns; and for each setting its value in each of them,
        empty where a method has no such setting.
    """
    rows = [row for row in report.leaderboard if row.config]
    names = dict.fromkeys(name for row in rows for name in row.config)
    return rows, [(name, [_value(row, name) for row in rows]) for name in names]


def _value(row: LeaderboardRow, name: str) -> str:
    if name not in row.config:
        return ""
    found = row.config[name]
    if found is None:
        return "none"
    if isinstance(found, bool):
        return "on" if found else "off"
    return f"{found:.3g}" if isinstance(found, float) else f"{found:,}" if isinstance(found, int) else found
