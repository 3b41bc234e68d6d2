"""Make the old database that is kept for a schema, once, with the code of that schema.

    PYTHONPATH=.:tests python tests/databases/create_database.py tests/databases/schema-0001.db

It holds a simulated study that is complete and one whose driver was killed. The files are never made again: the test
beside this script upgrades them forever.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from faults import simulated_study
from faults.processes import run


def create(target: Path) -> None:
    """Write the database."""
    with TemporaryDirectory() as folder:
        made = Path(folder) / "made.db"
        for name, faults in (("complete", ""), ("killed", "run.evaluation.after=kill@5")):
            named = {"faults": faults, "step_seconds": 0.0, "trials": 4, "seeds": 1, "name": name}
            run(simulated_study.simulate, f"sqlite:///{made}", Path(folder) / name, **named)
        with closing(sqlite3.connect(made)) as source, closing(sqlite3.connect(target)) as copy:
            source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
            copy.execute("VACUUM")


if __name__ == "__main__":
    create(Path(sys.argv[1]))
