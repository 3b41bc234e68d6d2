"""The command `doctor`: can this machine run studies, and what can a model do."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unipelt_search.cli.doctor import machine_facts
from unipelt_search.errors import MachineError, RequestError
from unipelt_search.records.diagnosis import UNKNOWN_WORTH_A_NOTICE, Diagnosis, MachineFacts, ModelFacts
from unipelt_search.reporting.notice_sentences import described
from unipelt_search.specs.option import Option

_GIB = 2**30


def doctor(
    model: Annotated[
        str | None,
        Option(
            "--model",
            metavar="NAME|DIR",
            help="Look at this model: a hub name, a local folder, or minilm. Default: only at the machine.",
        ),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Option("--device", help="Where the model is loaded; auto is a GPU if there is one."),
    ] = "auto",
    as_json: Annotated[bool, Option("--json", help="The same as JSON on stdout.")] = False,
) -> None:
    """Check the machine and its packages, and what a model can do: tokenizer, pooling, weights, and every method.

    Examples:

        unipelt-search doctor

        unipelt-search doctor --model minilm
    """
    diagnosis, error = _diagnose(model, device)
    if as_json:
        typer.echo(diagnosis.model_dump_json(indent=1))
    else:
        console = Console()
        _print_machine(diagnosis.machine, console)
        if diagnosis.model is not None:
            _print_model(diagnosis.model, console)
    if error is not None:
        raise error


def _diagnose(model: str | None, device: str) -> tuple[Diagnosis, RequestError | None]:
    """Look at the machine and the model; an error is returned, so that what was found is printed before it."""
    found = None
    error = None
    try:
        chosen = _choose_device(device)
        _check_packages(machine_facts())
        if model is not None:
            found = _examine(model, chosen)
    except RequestError as caught:
        error = caught
    problem = None if error is None else str(error)
    return Diagnosis(machine=machine_facts(), model=found, problem=problem), error


def _choose_device(asked: str) -> str:
    """Return where a model is loaded; torch is imported to look for GPUs."""
    try:
        import torch
    except ImportError as error:
        raise MachineError(f"torch must be installed; it cannot be imported: {error}.") from error
    if asked == "cuda" and not torch.cuda.is_available():
        raise RequestError("--device cuda needs a GPU that torch can use; there is none. Use --device cpu, or auto.")
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return asked


def _check_packages(machine: MachineFacts) -> None:
    missing = [package for package, version in machine.packages.items() if version is None]
    if missing:
        raise MachineError(f"Packages must be installed; missing: {', '.join(missing)}. Install unipelt-search again.")


def _examine(model: str, device: str) -> ModelFacts:
    from unipelt_search import api

    return api.examine_model(model, device=device)


def _print_machine(machine: MachineFacts, console: Console) -> None:
    gpus = ", ".join(machine.gpus) if machine.gpus else "none"
    facts = {
        "system": f"{machine.system}, Python {machine.python}",
        "cores": str(machine.cores),
        "memory free": f"{machine.memory_free / _GIB:.1f} GiB",
        "disk free here": f"{machine.disk_free / _GIB:.1f} GiB",
        "GPUs": gpus,
        "hub": "switched off by HF_HUB_OFFLINE" if machine.hub_is_offline else "is asked for names that are no folder",
        "packages": _versions(machine.packages),
        "optional": _versions(machine.optional),
    }
    console.print(_facts("machine", facts))


def _versions(packages: dict[str, str | None]) -> str:
    return ", ".join(f"{package} {version or 'missing'}" for package, version in packages.items()) or "none"


def _print_model(model: ModelFacts, console: Console) -> None:
    tokenizer = model.tokenizer
    facts = {
        "type": f"{model.type}, {model.attention} attention",
        "size": f"{model.parameters:,} parameters, {model.layers} layers of {model.hidden_size} features",
        "positions": f"{model.max_length:,} tokens of an example at most",
        "weights": f"{model.weights}, {model.weight_bytes / _GIB:.2f} GiB in {model.precision}, not quantised; "
        f"{4 * model.parameters / _GIB:.2f} GiB of memory in float32",
        "pooling": _pooling(model),
        "tokenizer": f"{tokenizer.kind}, {tokenizer.tokens:,} tokens for {tokenizer.embeddings:,} embeddings",
    }
    console.print(_facts(model.model, facts))
    console.print(_unknown_table(tokenizer.unknown))
    console.print(_method_table(model))
    for sentence in described(model.notices):
        console.print(f"Note: {escape(sentence)}", highlight=False)


def _pooling(model: ModelFacts) -> str:
    declared = model.declared_pooling
    if declared is None:
        return f"{model.pooling}; the checkpoint declares none"
    text = f"{model.pooling}, as the checkpoint declares" if declared == model.pooling else model.pooling
    if declared != model.pooling:
        text += f"; the checkpoint declares {declared}"
    return text + (f"; not used after it: {', '.join(model.unused_modules)}" if model.unused_modules else "")


def _facts(title: str, facts: dict[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(escape(title), no_wrap=True)
    table.add_column("", overflow="fold")
    for name, value in facts.items():
        table.add_row(name, escape(value))
    return table


def _unknown_table(shares: dict[str, float]) -> Table:
    """List the languages by what the tokenizer knows of them, in a few columns' width."""
    known = [language for language, share in shares.items() if share == 0]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("unknown tokens", justify="right")
    table.add_column("in a sentence of", overflow="fold")
    if known:
        table.add_row("0%", ", ".join(known))
    for language, share in shares.items():
        if share > 0:
            style = "yellow" if share > UNKNOWN_WORTH_A_NOTICE else None
            table.add_row(f"{share:.0%}", language, style=style)
    return table


def _method_table(model: ModelFacts) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", no_wrap=True)
    table.add_column("stored", justify="right")
    table.add_column("attaches to", overflow="fold")
    for fit in model.methods:
        if fit.reason:
            table.add_row(fit.method, "", f"[yellow]nothing.[/yellow] {escape(fit.reason)}")
        else:
            layers = f"{fit.layers} of {model.layers} layers" if fit.layers is not None else "all layers"
            table.add_row(fit.method, f"{fit.stored:,}", layers if _has_layers(fit.method) else "")
    return table


def _has_layers(method: str) -> bool:
    from unipelt_search.methods.catalogue import find_method

    return find_method(method).trains == "submodules"
