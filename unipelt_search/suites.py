"""The Python interface of suites: run the studies of one, report what there is of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from unipelt_search.api import Watch, existing_study, run_study
from unipelt_search.errors import NoUsableTrialError
from unipelt_search.records.history import StudyState
from unipelt_search.records.study_stage import OnStage, unheard
from unipelt_search.reporting.suite_tables import render_suite
from unipelt_search.settings import storage_url
from unipelt_search.specs.study import StudySpec
from unipelt_search.specs.study_identity import as_begun, spec_differences
from unipelt_search.specs.suite import SuiteSpec
from unipelt_search.storage.store import StudyReader
from unipelt_search.verdict.suite_scores import suite_scores


def run_suite(
    studies: Sequence[StudySpec],
    *,
    storage: str | None = None,
    out: Path | None = None,
    command: str = "",
    watch: Watch | None = None,
    notify: Callable[[str], None] | None = None,
    on_stage: OnStage = unheard,
) -> bool:
    """Run studies one after another; complete ones are skipped, stopped ones go on.

    Args:
        studies: What `SuiteSpec.studies` says.
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.
        out: Folder with a folder for each study, as for `run_study`; None writes neither reports nor checkpoints.
        command: The command line that asked, for the reports.
        watch: Is shown how far a study is whenever something happens.
        notify: Is told a sentence when a study begins and when it ends.
        on_stage: Is told what is done before the first run of each.

    Returns:
        Whether all were reached; False where Ctrl-C ended one.

    Raises:
        RequestError: A study cannot be run as asked; those after it were not reached.
        NoUsableTrialError: Every trial of some studies failed; all others were run.
    """
    failed = []
    for number, spec in enumerate(studies, start=1):

        def say(sentence: str, prefix: str = f"[{number} of {len(studies)}] {spec.name}") -> None:
            if notify is not None:
                notify(f"{prefix} {sentence}")

        if is_complete(spec, storage=storage):
            say("is complete already.")
            continue
        say("runs.")
        try:
            folder = None if out is None else out / spec.name
            study = run_study(spec, storage=storage, out=folder, command=command, watch=watch, on_stage=on_stage)
        except NoUsableTrialError as error:
            failed.append(spec.name)
            say(f"failed. {error}")
            continue
        if study.interrupted:
            return False
        say(f"is {study.record.state}. {study.report.verdict.sentence}")
    if failed:
        raise NoUsableTrialError(f"Every study of a suite must have a usable trial; none have: {', '.join(failed)}.")
    return True


def is_complete(spec: StudySpec, *, storage: str | None = None) -> bool:
    """Tell whether a study has been run whole, as it is asked now.

    Args:
        spec: The study.
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.

    Returns:
        False also where it is complete and more seeds are asked for, or something else.
    """
    found = existing_study(storage_url(storage), spec.name)
    if found is None or found.state is not StudyState.COMPLETE or found.spec.budget != spec.budget:
        return False
    asked = as_begun(found.spec, spec, found.edition)
    return not spec_differences(found.spec.completed(found.basis), asked.completed(found.basis))


def suite_report(suite: SuiteSpec, *, storage: str | None = None) -> str:
    """Report what there is of a suite, beside the published figures.

    Args:
        suite: The suite; studies that are not in the database are reported as missing.
        storage: A SQLAlchemy URL; None is `UNIPELT_STORAGE`, else the default.

    Returns:
        Markdown.

    Raises:
        StudyNotFoundError: There is no database.
        StudyExistsError: A study of that name asks something else.
    """
    with StudyReader.open(storage_url(storage)) as reader:
        names = set(reader.studies.names())
        there = [spec.name for spec in suite.studies() if spec.name in names]
        records = (reader.studies.load(name) for name in there)
        return render_suite(suite_scores(suite, records))
