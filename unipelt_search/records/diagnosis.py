"""What `doctor` finds: about the machine, and about a model."""

from __future__ import annotations

from unipelt_search.frozen import Frozen
from unipelt_search.records.notice import Notice

UNKNOWN_WORTH_A_NOTICE = 0.05
"""Share of unknown tokens: an English model has none in other Latin scripts, 0.3 in Japanese and 0.7 in Chinese."""


class MachineFacts(Frozen):
    """What a maintainer would ask first."""

    python: str
    system: str
    """Operating system and processor."""
    cores: int
    memory_free: int
    """Bytes."""
    disk_free: int
    """Bytes where the program was started."""
    gpus: tuple[str, ...] | None
    """Their names; None where torch was not loaded to ask."""
    hub_is_offline: bool
    """Whether HF_HUB_OFFLINE is set."""
    packages: dict[str, str | None]
    """The versions of required packages; None is missing."""
    optional: dict[str, str | None]
    """The same of packages that only some commands need."""


class TokenizerFacts(Frozen):
    """Whether the tokenizer is the model's, and which languages it knows."""

    kind: str
    """The class that transformers loaded it with."""
    tokens: int
    embeddings: int
    """Tokens that the model can look up."""
    unknown: dict[str, float]
    """The share of unknown tokens in sentences of a built-in sample, by language."""


class MethodFit(Frozen):
    """What a method can do on the model."""

    method: str
    stored: int | None
    """Numbers that its published settings store for two classes; None where it cannot attach."""
    layers: int | None
    """Layers that it attaches to, where those are some of them; None where it attaches to all or to none."""
    reason: str = ""
    """Why it cannot attach; empty where it can."""


class ModelFacts(Frozen):
    """What matters of a model before a study spends time on it."""

    model: str
    """As the user named it."""
    source: str
    """The folder or hub name that it was loaded from."""
    type: str
    """What transformers calls its architecture."""
    layers: int
    hidden_size: int
    parameters: int
    max_length: int
    """Tokens that an example may have at most."""
    attention: str
    """`bidirectional`, `causal`, or `encoder-decoder`."""
    weights: str
    """`safetensors` or `pytorch_model.bin`."""
    weight_bytes: int
    precision: str
    """The type of most numbers as they are stored; a study computes in float32."""
    declared_pooling: str | None
    """What its sentence-transformers files say, if there are any."""
    pooling: str
    """What a study uses where it asks for `auto`."""
    unused_modules: tuple[str, ...]
    """Modules after the pooling that are not used."""
    tokenizer: TokenizerFacts
    notices: tuple[Notice, ...]
    """What every study on it would note, whatever its data."""
    methods: tuple[MethodFit, ...]


class Diagnosis(Frozen):
    """All that `doctor` prints."""

    machine: MachineFacts
    model: ModelFacts | None = None
    problem: str | None = None
    """The sentence that says why no study can run; None where one can."""
