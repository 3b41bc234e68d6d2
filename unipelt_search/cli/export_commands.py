"""The command that writes a study's model: `export`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from unipelt_search.cli import options
from unipelt_search.specs.option import Option


@dataclass(frozen=True)
class Folders:
    """The folders that an export writes."""

    to: Annotated[
        Path,
        Option(
            "--to",
            metavar="DIR",
            help="Folder for the trained tensors, their description and a model card; the backbone is not in it.",
        ),
    ]
    merged: Annotated[
        Path | None,
        Option(
            "--merged",
            metavar="DIR",
            help="Folder for a model too that transformers or sentence-transformers alone loads, where that is exact.",
            details="That is so for `head`, `lora`, `ia3`, `bitfit` and `fine_tuning`: with the architecture's own "
            "pooling transformers loads it, with any other sentence-transformers.",
        ),
    ] = None
    peft: Annotated[
        Path | None,
        Option(
            "--peft",
            metavar="DIR",
            help="Folder in the form of the library PEFT too, where that is exact.",
            details="That is so for `lora`, `ia3`, `bitfit` and a `prefix` with `position_shift`, with the "
            "architecture's own pooling; needs the extra `peft`.",
        ),
    ] = None
    force: Annotated[bool, Option("--force", help="Replace exported models that these folders contain.")] = False


def export(
    name: options.StudyName,
    *,
    folders: Folders,
    trial: Annotated[
        int | None,
        Option(
            "--trial",
            metavar="N",
            help="This trial's model. Default: the verdict's.",
            details="The trial must have been confirmed.",
        ),
    ] = None,
    cheapest: Annotated[
        bool,
        Option("--cheapest", help="Of the best method and its ties, the one with the fewest stored parameters."),
    ] = False,
    storage: options.Storage = None,
) -> None:
    """Write a study's best model as a folder that `predict` and Python's load_model use.

    Examples:

        unipelt-search export demo --to demo-model

        unipelt-search export reviews-1 --cheapest --to small --merged plain
    """
    from unipelt_search import api

    api.export_model(
        name,
        folders.to,
        trial=trial,
        cheapest=cheapest,
        merged=folders.merged,
        peft=folders.peft,
        force=folders.force,
        storage=storage,
    )
    for folder in (folders.to, folders.merged, folders.peft):
        if folder is not None:
            sys.stderr.write(f"Wrote {folder}\n")
