"""Writing a folder that is complete or absent."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import yaml

from unipelt_search.errors import SavedModelError
from unipelt_search.training.checkpoint import make_durable

MODEL_FILES = ("config.json", "adapter_config.json")
"""One of them is in every folder with an exported model."""
_CARD = "README.md"
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_OURS = "unipelt-search"
_OLDER_PEFT = re.compile(r"\A# .* in the form of PEFT\n")
"""How the card of a folder for PEFT began before cards of it had front matter."""


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
    if not any((folder / name).is_file() for name in MODEL_FILES) or not _has_our_card(folder):
        raise SavedModelError(
            f"--force replaces only a folder with an exported model; {str(folder)!r} has no {' or '.join(MODEL_FILES)} "
            f"beside a {_CARD} that `unipelt-search export` wrote. Name another place, or delete it yourself."
        )


def _has_our_card(folder: Path) -> bool:
    """Tell whether a folder's card is one that an export wrote: a checkpoint and a project have other ones."""
    card = folder / _CARD
    if not card.is_file():
        return False
    text = card.read_text(encoding="utf-8", errors="replace")
    found = _FRONT_MATTER.match(text)
    if found is None:
        return _OLDER_PEFT.match(text) is not None
    try:
        front = yaml.safe_load(found[1])
    except yaml.YAMLError:  # no card of ours
        return False
    if not isinstance(front, dict):
        return False
    tags = front.get("tags")
    return front.get("library_name") == _OURS or (isinstance(tags, list) and _OURS in tags)


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
