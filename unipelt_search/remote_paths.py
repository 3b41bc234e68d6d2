"""Folders on this machine and behind a URL (`s3://bucket/runs`), which code elsewhere treats alike.

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

StoragePath = Path | UPath


def to_storage_path(text: str) -> StoragePath:
    """Return the folder that a path or a URL names; nothing is looked at.

    Raises:
        RequestError: Nothing is installed, or known, that could read the URL.
    """
    try:
        path = UPath(text)
        if is_remote(path):
            _ = path.fs
    except (ImportError, ValueError) as error:
        raise RequestError(
            f"A URL must be one that an installed package can read; got {text!r}: {_reason(error)}. Install "
            "what it needs."
        ) from error
    return path


def is_remote(path: StoragePath) -> bool:
    """Tell whether a folder is behind a URL."""
    return not isinstance(path, Path)


@contextmanager
def reaching(path: StoragePath) -> Iterator[None]:
    """Let what goes wrong behind a URL be an `OSError`, as it is on this machine; its file systems have their own."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if not is_remote(path):
            raise
        raise OSError(_reason(error)) from error


def remove_folder(path: StoragePath) -> None:
    """Remove a folder and all that is in it; what cannot be removed stays."""
    if isinstance(path, Path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError), reaching(path):
            path.fs.rm(path.path, recursive=True)


def check_writable(text: str) -> None:
    """Try a folder that a user has named by writing a small file into it.

    Args:
        text: A path or a URL.

    Raises:
        RequestError: It cannot be written to.
    """
    path = to_storage_path(text)
    probe = path / f".probe-{uuid4().hex}"
    try:
        with reaching(path):
            path.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"?")
            probe.unlink()
    except OSError as error:
        raise RequestError(
            f"--checkpoints must be a folder, or a URL of one, that can be written to; got {text!r}: {_reason(error)}. "
            "See that it is there and its keys are set, or leave --checkpoints out."
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300].removesuffix(".") or type(error).__name__
