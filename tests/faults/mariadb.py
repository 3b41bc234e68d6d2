"""A MariaDB of the tests' own, on a socket in a folder of its own; needs Debian's package mariadb-server."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

_START_SECONDS = 60


class MariaDB:
    """A server in a folder, which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        """Make the server's own tables and start it."""
        self._folder = folder
        self._url = f"mysql+pymysql://root@localhost/mysql?unix_socket={folder}/socket"
        install = shutil.which("mariadb-install-db") or ""
        command = [install, "--no-defaults", f"--datadir={folder}/data", "--auth-root-authentication-method=normal"]
        subprocess.run([*command, "--skip-test-db", "--user=root"], check=True, capture_output=True)
        self.start()

    def start(self) -> None:
        """Start the server; returns when it answers."""
        place = [f"--datadir={self._folder}/data", f"--socket={self._folder}/socket", f"--pid-file={self._folder}/pid"]
        self._process = subprocess.Popen(
            [shutil.which("mariadbd") or "", "--no-defaults", *place, "--skip-networking", "--user=root"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert time.monotonic() < end, "MariaDB did not start"
            time.sleep(0.1)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(f"{self._folder}/socket") == 0

    def stop(self) -> None:
        """Kill the server."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Kill the server and start it again."""
        self.stop()
        self.start()

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database; it goes at the end of the block."""
        name = f"ups_{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        yield f"mysql://root@localhost/{name}?unix_socket={self._folder}/socket"
        self._execute(f"DROP DATABASE {name}")

    def _execute(self, statement: str) -> None:
        engine = create_engine(self._url)
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


@contextmanager
def running_mariadb() -> Iterator[MariaDB]:
    """Start a server, gone with everything in it at the end of the block; the test is skipped where it cannot be."""
    pytest.importorskip("pymysql", reason="needs PyMySQL: pip install 'unipelt-search[dev]'")
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        pytest.skip("needs MariaDB: apt-get install mariadb-server")
    folder = Path(tempfile.mkdtemp(prefix="ups-mariadb-"))
    server = MariaDB(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)
