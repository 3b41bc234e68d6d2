"""Folders on this machine and behind URLs (`s3://bucket/runs`), which code elsewhere treats alike.

A folder on this machine is a `Path`; one behind a URL is a `UPath`, which has the same methods and uses fsspec.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from upath import UPath

from unipelt_search.errors import RequestError

Place = Path | UPath


def to_place(text: str) -> Place:
    """Return the folder that a path or a URL names; nothing is looked at.

    Raises:
        RequestError: Nothing is installed, or known, that could read the URL.
    """
    try:
        place = UPath(text)
        if is_remote(place):
            _ = place.fs
    except (ImportError, ValueError) as error:
        raise RequestError(
            f"A URL must be one that an installed package can read; got {text!r}: {_reason(error)}. Install "
            "what it needs."
        ) from error
    return place


def is_remote(place: Place) -> bool:
    """Tell whether a folder is behind a URL."""
    return not isinstance(place, Path)


@contextmanager
def reaching(place: Place) -> Iterator[None]:
    """Let what goes wrong behind a URL be an `OSError`, as it is on this machine; its file systems have their own."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if not is_remote(place):
            raise
        raise OSError(_reason(error)) from error


def remove_folder(place: Place) -> None:
    """Remove a folder and all that is in it; what cannot be removed stays."""
    if isinstance(place, Path):
        shutil.rmtree(place, ignore_errors=True)
    else:
        with suppress(OSError), reaching(place):
            place.fs.rm(place.path, recursive=True)


def check_writable(text: str) -> None:
    """Try a folder that a user has named by writing a small file into it.

    Args:
        text: A path or a URL.

    Raises:
        RequestError: It cannot be written to.
    """
    place = to_place(text)
    probe = place / f".probe-{uuid4().hex}"
    try:
        with reaching(place):
            place.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"?")
            probe.unlink()
    except OSError as error:
        raise RequestError(
            f"--checkpoints must be a folder, or a URL of one, that can be written to; got {text!r}: {_reason(error)}. "
            "See that it is there and its keys are set, or leave --checkpoints out."
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300].removesuffix(".") or type(error).__name__
