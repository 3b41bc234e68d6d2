"""The description of an exported model, made by hand."""

from __future__ import annotations

from tiny import tiny_trial
from unipelt_search.exporting.saved_model import SavedBackbone, SavedModel, SavedTask
from unipelt_search.specs.seeds import run_seeds


def described(**task: object) -> SavedModel:
    """Describe a gated model of two classes on a backbone of the hub, with changes to its task."""
    settings = {"name": "reviews", "kind": "classification", "labels": ("no", "yes"), "metric": "accuracy",
                "text": ("review",), "max_length": 64, "fingerprint": "ab" * 8}  # fmt: skip
    backbone = SavedBackbone(model="org/small", source="hub", revision="c0ffee", pooling="mean", weights_hash="0" * 64)
    return SavedModel(
        trial=tiny_trial("unipelt_al"), seeds=run_seeds(0, 1), backbone=backbone,
        task=SavedTask.model_validate({**settings, **task}), weights_sha256="0" * 64, software={"torch": "2.13"},
    )  # fmt: skip
