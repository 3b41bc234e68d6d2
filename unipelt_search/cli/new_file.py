"""A file that is written whole or not at all, and that takes the place of no other by mistake."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from unipelt_search.errors import MachineError, RequestError


def check_new_file(path: Path, inputs: Iterable[Path], *, force: bool) -> None:
    """Check that ``--out`` names a file that may be written.

    Args:
        path: Where to.
        inputs: Files that are read, and are never replaced.
        force: Whether an ordinary file that is there may be replaced.

    Raises:
        RequestError: It is ``-``, the input, a folder, a device, a file that may not be replaced, or below a file.
        MachineError: Its folder is not writable.
    """
    if str(path) == "-":
        raise RequestError("--out must be a file; got '-'. Name one, or leave --out out for stdout.")
    if path.is_dir():
        raise RequestError(f"--out must be a file; {str(path)!r} is a folder. Name a file in it.")
    if path.exists():
        if any(other.exists() and path.samefile(other) for other in inputs):
            raise RequestError(f"--out must not be a file that is read; got {str(path)!r}. Name another file.")
        if not stat.S_ISREG(path.stat().st_mode):
            raise RequestError(f"--out must be an ordinary file; {str(path)!r} is none. Name another, or use stdout.")
        if not force:
            raise RequestError(
                f"--out must be a new file; {str(path)!r} is there. Name another file, or replace it with --force."
            )
    _check_folder_of(path)


def _check_folder_of(path: Path) -> None:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise RequestError(f"--out must be a file in a folder; {str(folder)!r} is a file. Name another file.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MachineError(f"--out must be in a folder that you may write; {str(folder)!r} is none. Name another file.")


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Fill a file under another name, and give it its own when it is whole and on the disk; an error leaves nothing.

    Args:
        path: Where it shall be, as `check_new_file` has seen it. Missing folders are made.

    Yields:
        The file to fill.

    Raises:
        MachineError: It cannot be written.
    """
    path = path.resolve()
    missing = [parent for parent in path.parents if not parent.exists()]
    made = path.with_name(f".{path.name}-{uuid4().hex}")
    complete = False
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = made.open("xb")
        with file:
            yield file
            with writing(path):
                file.flush()
                os.fsync(file.fileno())
        with writing(path):
            os.replace(made, path)
        complete = True
    finally:
        if not complete:
            made.unlink(missing_ok=True)
            _remove_empty(missing)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say of which file a failure to write is.

    Args:
        path: The file as the user knows it.

    Raises:
        MachineError: The system refused to write.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise MachineError(f"--out must be a file that can be written; {str(path)!r} cannot: {reason}.") from error


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that were made for nothing, the innermost first; one that has got files since stays."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # it was never made, or is in use by now
            return
