"""A tokenizer for a folder that is used without this package: it cuts texts as training did, by itself."""

from __future__ import annotations

import copy

from transformers import PreTrainedTokenizerBase

from unipelt_search.exporting.saved_model import SavedTask


def plain_tokenizer(tokenizer: PreTrainedTokenizerBase, task: SavedTask) -> PreTrainedTokenizerBase:
    """Copy a tokenizer so that `truncation=True` cuts texts as training did.

    Args:
        tokenizer: The backbone's tokenizer.
        task: The task of the model; its texts are cut on one side.

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
