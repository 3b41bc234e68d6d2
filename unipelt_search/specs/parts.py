"""What a configuration and a user's variant of one have alike: parts named after submodules, and the gate.

Installed methods decide which parts there are, so they are no fixed fields. As JSON a value is flat: the five parts
that configurations had from the start are null where absent, and any other is written only where present; so a new
method changes no stored value and no content hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar, get_args

from pydantic import ConfigDict, ModelWrapValidatorHandler, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from unipelt_search.errors import MachineError, UnknownMethodError
from unipelt_search.frozen import Frozen
from unipelt_search.methods.catalogue import (
    canonical_method,
    find_submodule,
    is_installed,
    part_models,
    set_members,
    trained_methods,
)
from unipelt_search.methods.gate_settings import GateSpec
from unipelt_search.methods.method_entry import OURS

Settings = TypeVar("Settings", bound=Frozen)

STORED: Mapping[str, bool] = {"stored": True}
"""The validation context of rows of the database: methods and parts whose package is missing are kept as they are."""
_HISTORIC_PARTS = ("lora", "adapter", "parallel_adapter", "prefix", "gate")
"""Written as null where absent, in this order."""
_CORE_ERRORS = frozenset(get_args(core_schema.ErrorType))


class StoredSettings(Frozen):
    """Settings of a submodule whose package is missing, as plain values."""

    model_config = ConfigDict(extra="allow")


def is_stored(info: ValidationInfo) -> bool:
    """Tell whether the value that is being validated comes from the database.

    Args:
        info: What pydantic tells a validator.

    Returns:
        Whether the context is `STORED`.
    """
    context: object = info.context
    return isinstance(context, Mapping) and bool(context.get("stored"))


def check_trained(method: str, stored: bool) -> str:
    """Check the method of a configuration.

    Args:
        method: A method's name, or a set of gated submodules.
        stored: Whether it comes from the database, where its package may be missing.

    Returns:
        Its canonical name.

    Raises:
        ValueError: There is no such method, or it is never trained.
    """
    if stored and not is_installed(method):
        return method
    try:
        canonical = canonical_method(method)
    except UnknownMethodError as error:
        # Only a ValueError is a finding of pydantic's, which names the key.
        raise ValueError(str(error)) from error
    known = trained_methods()
    if canonical not in known and not set_members(canonical):
        raise ValueError(f"method must be one of {', '.join(known)}; got {method!r}")
    return canonical


class WithParts(Frozen):
    """A value whose parts are named after submodules with settings, and `gate`."""

    model_config = ConfigDict(extra="allow")

    def part(self, name: str, kind: type[Settings]) -> Settings | None:
        """Return the settings of one part.

        Args:
            name: A submodule with settings, or `gate`.
            kind: Their specification.

        Returns:
            The settings; None where the method does not have the part.

        Raises:
            MachineError: They are plain values, since the package that knows them is missing or of another version.
        """
        found = self.parts.get(name)
        if found is None or isinstance(found, kind):
            return found
        raise MachineError(
            f"The settings of {name!r} must be a {kind.__name__}; got plain values, since the package that knows them "
            "is missing or of another version. Install the one that the study or the model was made with."
        )

    @property
    def gate(self) -> GateSpec | None:
        """How its gates act; None without gates."""
        return self.part("gate", GateSpec)

    @property
    def parts(self) -> dict[str, Frozen]:
        """The parts that it has, by name; `training` is none of them."""
        extra: dict[str, Any] = self.__pydantic_extra__ or {}
        return {name: part for name, part in extra.items() if part is not None}

    @model_validator(mode="wrap")
    @classmethod
    def _read_parts(cls, values: object, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if not isinstance(values, Mapping):
            return handler(values)
        # Every problem is collected, those of the parts and those of the declared fields, as pydantic itself would.
        problems: list[InitErrorDetails] = []
        read: dict[str, object] = dict.fromkeys(_HISTORIC_PARTS)
        for name, value in values.items():
            if name in cls.model_fields:
                read[name] = value
                continue
            try:
                part = _read_part(name, value, is_stored(info))
            except ValidationError as error:
                problems.extend(_details(error, name))
                continue
            if part is not None:
                read[name] = part
        if problems:
            # Rules on the whole say nothing as long as parts of it could not be read.
            problems.extend(problem for problem in _problems_of(handler, read) if problem["loc"])
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return handler(read)


def _read_part(name: str, value: object, stored: bool) -> Frozen | None:
    model = part_models().get(name)
    if model is None:
        if stored and (value is None or isinstance(value, Mapping)):
            return None if value is None else StoredSettings.model_validate(value)
        unknown = InitErrorDetails(type="extra_forbidden", loc=(), input=value)
        raise ValidationError.from_exception_data(name, [unknown])
    if value is None:
        return None
    try:
        return model.model_validate(value)
    except ValidationError:
        # Another version of a plug-in may have had other settings.
        if stored and isinstance(value, Mapping) and not _is_ours(name):
            return StoredSettings.model_validate(value)
        raise


def _is_ours(part: str) -> bool:
    return part == "gate" or find_submodule(part).package == OURS


def _problems_of(handler: ModelWrapValidatorHandler[Any], values: object) -> Iterator[InitErrorDetails]:
    try:
        handler(values)
    except ValidationError as error:
        yield from _details(error)


def _details(error: ValidationError, *above: str) -> Iterator[InitErrorDetails]:
    """Rewrite pydantic's findings so that they can be raised again, below a key."""
    for found in error.errors(include_url=False):
        context = found.get("ctx", {})
        kind: str | PydanticCustomError = found["type"]
        if kind not in _CORE_ERRORS:
            kind = PydanticCustomError(found["type"], "{message}", {"message": found["msg"]})
        location = (*above, *found["loc"])
        yield InitErrorDetails(type=kind, loc=location, input=found["input"], ctx=context)
