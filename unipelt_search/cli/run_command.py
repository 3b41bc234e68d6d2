"""The commands that search: `demo`, `run` and `resume`."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

import typer
from rich.console import Console

from unipelt_search.cli import options
from unipelt_search.cli.demo_study import DEMO
from unipelt_search.cli.live_view import watch_study
from unipelt_search.cli.plan_view import print_plan
from unipelt_search.cli.report_output import show_report
from unipelt_search.cli.study_request import build_spec, fresh_name
from unipelt_search.errors import StudyExistsError, TransientError
from unipelt_search.records.progress import StudyProgress
from unipelt_search.specs.load_study import read_study_file
from unipelt_search.specs.study import StudySpec

PROGRAM = "unipelt-search"
INTERRUPTED = 130
_NO_NAME_YET = "unnamed"
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@/\s]*@")


def run(
    context: typer.Context,
    study_file: options.StudyFile = None,
    data: options.Data = None,
    text: options.Text = None,
    label: options.Label = None,
    model: options.Model = None,
    name: options.NewName = None,
    methods: options.Methods = None,
    allocation: options.AllocationName = None,
    trials: options.Trials = None,
    time: options.Time = None,
    seeds: options.Seeds = None,
    seed: options.Seed = None,
    train_size: options.TrainSize = None,
    redraw: options.Redraw = False,
    metric: options.MetricName = None,
    allow_overlap: options.AllowOverlap = False,
    max_parameters: options.MaxParameters = None,
    gate_null: options.ShuffledControl = False,
    prune_gates: options.PruneGates = False,
    max_latency_ms: options.MaxLatency = None,
    storage: options.Storage = None,
    out: options.Out = None,
    checkpoints: options.Checkpoints = None,
    address: options.Address = None,
    device: options.Device = None,
    concurrency: options.Concurrency = None,
    gpus_per_trial: options.GpusPerTrial = None,
    cpus_per_trial: options.CpusPerTrial = None,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Search for the best method on your data, or go on with a study.

    Examples:

        unipelt-search run --data reviews.csv --text review --label stars --model distilbert-base-uncased

        unipelt-search run studies/demo/study.yaml --trials 28 --time 30m

        unipelt-search run --data reviews.csv --text review --label stars --model minilm --dry-run
    """
    from unipelt_search import api

    # The parameters reach the spec by their names, so that an option is written down in one place only.
    values = read_study_file(study_file) if study_file else {}
    spec = build_spec({"name": _NO_NAME_YET, **values}, context.params)
    if name is None and "name" not in values:
        taken = [line.name for line in api.list_studies(storage=storage)]
        spec = spec.model_copy(update={"name": fresh_name(spec.task.data, taken)})
    if dry_run:
        plan = api.plan_study(spec, storage=storage)
        if as_json:
            typer.echo(plan.model_dump_json(indent=1))
        else:
            print_plan(plan, Console())
        return
    _search(spec, storage=storage, out=out, quiet=quiet, as_json=as_json)


def resume(
    context: typer.Context,
    name: options.StudyName,
    trials: options.Trials = None,
    time: options.Time = None,
    seeds: options.Seeds = None,
    storage: options.Storage = None,
    out: options.Out = None,
    checkpoints: options.Checkpoints = None,
    address: options.Address = None,
    device: options.Device = None,
    concurrency: options.Concurrency = None,
    gpus_per_trial: options.GpusPerTrial = None,
    cpus_per_trial: options.CpusPerTrial = None,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Go on with a stopped study. Doing it twice is harmless; a complete study prints its report.

    Examples:

        unipelt-search resume reviews-1

        unipelt-search resume reviews-1 --time 2h --concurrency 4
    """
    from unipelt_search import api

    asked = api.open_study(name, storage=storage).record.spec
    spec = build_spec(asked.model_dump(), context.params)
    _search(spec, storage=storage, out=out, quiet=quiet, as_json=as_json)


def demo(
    context: typer.Context,
    trials: options.Trials = None,
    time: options.Time = None,
    seeds: options.Seeds = None,
    storage: options.Storage = None,
    out: options.Out = None,
    concurrency: options.Concurrency = None,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Run a whole small study on the embedded data with a small real model, offline.

    A demo study that cannot be continued is replaced.

    Examples:

        unipelt-search demo

        unipelt-search demo --time 5m --out demo-report
    """
    from unipelt_search import api

    spec = build_spec(DEMO.model_dump(), context.params)
    try:
        _search(spec, storage=storage, out=out, quiet=quiet, as_json=as_json)
    except StudyExistsError:
        api.delete_study(spec.name, storage=storage)
        _search(spec, storage=storage, out=out, quiet=quiet, as_json=as_json)


def without_password(command: str) -> str:
    """Return a command line without the passwords of its database URLs."""
    return _PASSWORD.sub(r"\1:***@", command)


def _search(spec: StudySpec, *, storage: str | None, out: Path | None, quiet: bool, as_json: bool) -> None:
    from unipelt_search import api

    resume_command = _resume_command(spec.name, storage, out)
    out = out or Path("studies") / spec.name
    errors = Console(stderr=True)
    command = without_password(shlex.join([PROGRAM, *sys.argv[1:]]))
    study = None
    begun = False
    # SIGTERM announces that the machine is taken away; it ends a study as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with watch_study(errors, quiet=quiet, as_json=as_json) as show, suppress(KeyboardInterrupt):

        def watch(progress: StudyProgress) -> None:
            nonlocal begun
            begun = True
            show(progress)

        try:
            study = api.run_study(spec, storage=storage, out=out, command=command, watch=watch)
        except TransientError as error:
            if begun:
                raise TransientError(f"{error} Go on with: {resume_command}") from error
            raise
    if study is not None and not study.interrupted:
        show_report(study.report, "json" if as_json else "terminal")
        if not (quiet or as_json):
            errors.out(f"Wrote {out / 'report.html'} and report.json", highlight=False)
        return
    # Before the first snapshot there is no study yet that could be resumed.
    again = f" Go on with: {resume_command}" if begun or study else ""
    errors.out(f"Interrupted.{again}", highlight=False)
    raise typer.Exit(INTERRUPTED)


def _resume_command(name: str, storage: str | None, out: Path | None) -> str:
    given = {"--storage": storage, "--out": out}
    arguments = [PROGRAM, "resume", name]
    for option, value in given.items():
        arguments += [option, str(value)] if value else []
    return without_password(shlex.join(arguments))
