"""Writing a folder that is complete or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from unipelt_search.errors import SavedModelError
from unipelt_search.training.checkpoint import make_durable

MODEL_FILES = ("config.json", "adapter_config.json")
"""What a folder with an exported model has; `--force` replaces no other folder."""


def check_free(folder: Path, option: str, *, force: bool) -> None:
    """Check that a folder may be written.

    Args:
        folder: Which one.
        option: How the user named it, such as `--to`.
        force: Whether a model that is there may be replaced.

    Raises:
        SavedModelError: Something is there that may not be replaced.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir():
        raise SavedModelError(f"{option} must be a folder; got the file {str(folder)!r}. Name another place.")
    if not force:
        raise SavedModelError(
            f"{option} must be a new or empty folder; {str(folder)!r} has files. Name another place, or replace the "
            "model in it with --force."
        )
    if not any((folder / name).is_file() for name in MODEL_FILES):
        raise SavedModelError(
            f"--force replaces only a folder with an exported model; {str(folder)!r} has no "
            f"{' or '.join(MODEL_FILES)}. Name another place."
        )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Fill a folder under another name, and give it its own when it is whole and on the disk; an error leaves nothing.

    Args:
        folder: Where it shall be; what is there already is replaced.

    Yields:
        The empty folder to fill.
    """
    folder = folder.expanduser().resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid4().hex
    made, old = (folder.with_name(f".{folder.name}-{mark}{end}") for end in ("", "-old"))
    made.mkdir()
    try:
        yield made
        for path in made.rglob("*"):
            if path.is_file():  # safetensors lets nobody but the owner read its files
                path.chmod(made.stat().st_mode & 0o666)
            make_durable(path)
        make_durable(made)
        if folder.exists():
            os.replace(folder, old)
        os.replace(made, folder)
        make_durable(folder.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if old.exists() and not folder.exists():
            os.replace(old, folder)  # the new one could not take its place
        shutil.rmtree(old, ignore_errors=True)
