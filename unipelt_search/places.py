"""Folders on this machine and behind URLs (`s3://bucket/runs`), which code elsewhere treats alike.

A folder on this machine is a `Path`; one behind a URL is a `UPath`, which has the same methods and uses fsspec.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from upath import UPath

from unipelt_search.errors import RequestError

Place = Path | UPath


def to_place(text: str) -> Place:
    """Return the folder that a path or a URL names; nothing is looked at.

    Raises:
        ValueError: Nothing is known that could read the URL.
        ImportError: What could is not installed.
    """
    place = UPath(text)
    if is_remote(place):
        _ = place.fs  # where the package is missing
    return place


def is_remote(place: Place) -> bool:
    """Tell whether a folder is behind a URL."""
    return not isinstance(place, Path)


def remove_folder(place: Place) -> None:
    """Remove a folder and all that is in it; what cannot be removed stays."""
    if isinstance(place, Path):
        shutil.rmtree(place, ignore_errors=True)
    else:
        with suppress(OSError):
            place.fs.rm(place.path, recursive=True)


def check_writable(text: str) -> Place:
    """Try a folder that a user has named by writing a small file into it.

    Args:
        text: A path or a URL.

    Returns:
        The folder.

    Raises:
        RequestError: It cannot be written to.
    """
    try:
        place = to_place(text)
        probe = place / f".probe-{uuid4().hex}"
        place.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"?")
        probe.unlink()
    except Exception as error:  # every file system raises errors of its own
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise RequestError(
            f"--checkpoints must be a folder, or a URL of one, that can be written to; got {text!r}: {reason}. Install "
            "what the URL needs, see that its keys are set, or leave --checkpoints out."
        ) from error
    return place
