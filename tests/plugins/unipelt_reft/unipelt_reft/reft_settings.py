"""ReFT without torch: its settings, published values and search space."""

from pydantic import Field

from unipelt_search.frozen import Frozen
from unipelt_search.methods.hyperparameter import integer
from unipelt_search.methods.method_entry import SubmoduleEntry


class ReftSpec(Frozen):
    """A low-rank intervention on the hidden states of every layer."""

    rank: int = Field(default=4, ge=1, le=512)
    """Dimensions of the subspace."""


ENTRY = SubmoduleEntry(
    name="reft",
    sentence="ReFT (Wu et al., 2024): a low-rank intervention on the hidden states after each layer.",
    torch_module="unipelt_reft.reft:REFT",
    settings=ReftSpec,
    learning_rates=(2e-3, 6e-4, 6e-3),
    hyperparameters=(integer("reft.rank", 1, 32),),
)
