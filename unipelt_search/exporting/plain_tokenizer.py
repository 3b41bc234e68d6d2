"""A tokenizer for a folder that is used without this package: it cuts texts as training did, by itself."""

from __future__ import annotations

import copy

from transformers import PreTrainedTokenizerBase

from unipelt_search.errors import SavedModelError
from unipelt_search.exporting.saved_model import SavedTask
from unipelt_search.specs.study import Side


def check_side(side: Side | None, option: str) -> None:
    """Check that a tokenizer can cut texts on the side on which training did.

    Args:
        side: The side; None is the tokenizer's own.
        option: What the user asked for.

    Raises:
        SavedModelError: It cannot.
    """
    if side == "head_tail":
        raise SavedModelError(
            f"{option} needs texts that are cut on one side, which a tokenizer does by itself; this model was trained "
            f"with task.truncation head_tail. Set right or left in a new study, or leave {option} out."
        )


def plain_tokenizer(tokenizer: PreTrainedTokenizerBase, task: SavedTask) -> PreTrainedTokenizerBase:
    """Copy a tokenizer so that `truncation=True` cuts texts as training did.

    Args:
        tokenizer: The backbone's tokenizer.
        task: The task of the model; `check_side` has passed.

    Returns:
        The copy, which `save_pretrained` writes with its limit of tokens and its side.
    """
    made = copy.deepcopy(tokenizer)
    made.model_max_length = task.max_length
    if task.truncation in ("right", "left"):
        made.truncation_side = task.truncation
    # Of the values that were set later transformers saves those that it knows from the beginning.
    made.init_kwargs["truncation_side"] = made.truncation_side
    return made
