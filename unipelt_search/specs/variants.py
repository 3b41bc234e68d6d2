"""A configuration that a user fixed and named, to be compared beside the methods' own settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import (
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from unipelt_search.frozen import Frozen
from unipelt_search.methods.basis import Basis
from unipelt_search.methods.catalogue import is_installed, named_methods, parts_of
from unipelt_search.methods.search_space import published_values
from unipelt_search.methods.training_settings import (
    BatchSize,
    ClipNorm,
    Evaluations,
    LearningRate,
    Patience,
    Schedule,
    Share,
    Steps,
    UnitInterval,
)
from unipelt_search.specs.parts import WithParts, check_trained, is_stored

PRUNED: Final = "pruned"
"""Where a finalist's smaller sibling comes from, and what its name ends with."""
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


WRITTEN_OUT: Mapping[str, bool] = {"written_out": True}
"""The serialization context in which parts have every field, as question hashes have had them from the start."""


class TrainingChanges(Frozen):
    """How a variant is trained; what is None is as in the method's published settings or in the study."""

    learning_rate: LearningRate | None = None
    schedule: Schedule | None = None
    warmup_share: UnitInterval | None = None
    weight_decay: UnitInterval | None = None
    clip_norm: ClipNorm | None = None
    batch_size: BatchSize | None = None
    steps: Steps | None = None
    evaluations: Evaluations | None = None
    patience: Patience | None = None
    dropout: Share | None = None


class Variant(WithParts):
    """A named configuration: a method with some of its settings; the others are those published in a study's edition.

    Beside the declared fields it has parts named after submodules, and `gate`; see `part`. Written as JSON or plain
    values, a part has the fields that were given and no others, so that what was left open stays open.
    """

    name: str
    """What the leaderboard calls it; no method's name."""
    method: str
    training: TrainingChanges = Field(default_factory=TrainingChanges)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str, info: ValidationInfo) -> str:
        if not NAME_PATTERN.fullmatch(name):
            raise ValueError(
                "a configuration's name must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or "
                f"digit; got {name!r}"
            )
        # A plug-in that was installed since may have taken a stored configuration's name.
        if not is_stored(info) and name in (method.name for method in named_methods()):
            raise ValueError(f"a configuration's name must not be a method's; got {name!r}")
        if name.endswith(pruned_name("")):
            raise ValueError(f"a configuration's name must not end as those of smaller siblings do; got {name!r}")
        return name

    @field_validator("method")
    @classmethod
    def _known_method(cls, method: str, info: ValidationInfo) -> str:
        return check_trained(method, is_stored(info))

    @model_serializer(mode="wrap")
    def _write_given(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if info.context == WRITTEN_OUT:
            return values
        for name, part in self.parts.items():
            # Who asks for a few keys gets no others.
            if name not in values:
                continue
            # What a field's own rule leaves out was given all the same, and may not be what is published.
            values[name] = {field: values[name].get(field, getattr(part, field)) for field in _given(part)}
        return values

    def completed(self, basis: Basis) -> Self:
        """Give the parts that are there the published values of the fields that they leave open.

        A part that is absent stays absent: `search.space.configured` takes it from the published settings. So does a
        stored configuration whose package is missing.

        Args:
            basis: The study's edition and backbone.

        Returns:
            The same configuration, from whose parts nothing is left open.

        Raises:
            UnipeltError: A value depends on the backbone's hidden size, which is not known.
            MachineError: A plug-in cannot be loaded, or takes a name that is taken.
        """
        if not self.parts or not is_installed(self.method):
            return self
        published = published_values(self.method, basis)
        changed: dict[str, Frozen] = {}
        for name, part in self.parts.items():
            open_fields = sorted(type(part).model_fields.keys() - part.model_fields_set)
            values = {field: published.get(f"{name}.{field}", getattr(part, field)) for field in open_fields}
            changed[name] = part.model_copy(update=values)
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _parts_fit_the_method(self) -> Self:
        # A method that is not installed has passed the check of its name only as a stored one.
        if not is_installed(self.method):
            return self
        needed = parts_of(self.method)
        for part in self.parts:
            if part not in needed:
                raise ValueError(f"method {self.method} takes no {part} settings; got some, leave them out")
        return self


def _given(part: Frozen) -> list[str]:
    """Return the fields of a part that were given, in their own order."""
    ordered = dict.fromkeys([*type(part).model_fields, *part.model_fields_set])
    return [field for field in ordered if field in part.model_fields_set]


def pruned_name(name: str) -> str:
    """Return what the smaller sibling of a finalist competes as."""
    return f"{name}-{PRUNED}"
