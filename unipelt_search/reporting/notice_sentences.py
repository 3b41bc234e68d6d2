"""The English sentence of every notice: what the other packages know as a code with values is said here, and only here.

A code is never renamed and keeps its values, since databases hold both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from unipelt_search.kinds.label_kind import label_kinds
from unipelt_search.records.notice import LEGACY, Notice
from unipelt_search.units import format_duration

_Values = Mapping[str, Any]
_NOT_PUBLIC = "its labels are not public"
_NO_SPLIT = "the name says no split"
_MARKS = {",": "a comma", ".": "a point", " ": "a blank", "'": "an apostrophe"}
_FORMS = {
    "cells": "",
    "lists": " in lists",
    "list_text": " in lists written as text",
    "lists_of_one": " in lists of one",
    "positions": " by their positions in lists",
    "separator": "",
    "vectors": " in 0/1 vectors",
    "columns": ", a 0/1 column for each",
}
"""What a sentence says of how the cells of a label column are written."""


def notice_sentence(notice: Notice) -> str:
    """Say in English what a notice says in a code and values.

    Args:
        notice: Of any code; one that a newer version stored has a code that is not known here.

    Returns:
        The sentence, or two; for an unknown code its name and its values as JSON.
    """
    make = SENTENCES.get(notice.code)
    if make is not None:
        return make(notice.values)
    for kind in label_kinds().values():
        if notice.code == kind.notice:
            return f"{kind.recognised}; task.kind in the study file says otherwise."
    values = f" with {json.dumps(notice.values, sort_keys=True)}" if notice.values else ""
    return f"A newer version of unipelt-search noted {notice.code}{values}."


def described(notices: Iterable[Notice]) -> dict[str, str]:
    """Say notices in English, each sentence once.

    Args:
        notices: In the order of the report.

    Returns:
        The code of each sentence, in the order of the notices.
    """
    # By sentence, since a notice of an older version may say the same without its code.
    codes: dict[str, str] = {}
    for notice in notices:
        codes.setdefault(notice_sentence(notice), notice.code)
    return codes


def _join(values: _Values, name: str) -> str:
    """Join the values that `first_values` made, and say how many more there are."""
    more = values[f"{name}_count"] - len(values[name])
    return ", ".join(map(str, values[name])) + (f" and {more} more" if more else "")


def _validation_is_test(values: _Values) -> str:
    unused = "; its own test split is not used" if values["test_unused"] else ""
    return f"The validation split of {values['data']} is the test split{unused}."


def _rows_read(values: _Values) -> str:
    if values["lines"] is None:
        return f"Read {values['rows']:,} rows of {values['source']}."
    names = {"header": "header", "comments": "comment", "blank": "blank", "continued": "inside of cells"}
    names["broken"] = "that cannot be read"
    others = [f"{values[what]:,} {name}" for what, name in names.items() if values[what]]
    other = f" (not rows: {', '.join(others)})" if others else ""
    return f"Read {values['rows']:,} rows of {values['lines']:,} lines of {values['source']}{other}."


def _quotes_are_text(values: _Values) -> str:
    swallowed = values["swallowed"]
    lost = f"; as marks around fields they would hide {swallowed:,} lines inside of others" if swallowed else ""
    return f"Quotes in {values['file']} are read as characters of the texts, one row per line{lost}."


def _possible_typos(values: _Values) -> str:
    columns = (values["labels"], values["label_rows"], values["similar"], values["similar_rows"])
    pairs = [
        f"{label!r} ({rows} rows) looks like {similar!r} ({similar_rows} rows)"
        for label, rows, similar, similar_rows in zip(*columns, strict=True)
    ]
    more = values["labels_count"] - len(pairs)
    return f"Labels may be misspelt: {', '.join(pairs)}{f' and {more} more' if more else ''}."


def _labels_merged(values: _Values) -> str:
    columns = (values["labels"], values["label_rows"], values["read_as"])
    pairs = [f"{label!r} ({rows} rows) as {usual!r}" for label, rows, usual in zip(*columns, strict=True)]
    more = values["labels_count"] - len(pairs)
    return f"Labels that look alike were merged: {', '.join(pairs)}{f' and {more} more' if more else ''}."


_DROP_REASONS = {
    "empty_text": "an empty text",
    "missing_label": "no label",
    "empty_cell": "an empty cell in another named column",
    "unreadable_cell": "a cell that is neither text nor a number",
    "bad_unicode": "a text that is not valid Unicode",
    "bad_label": "a label of another notation",
    "bad_weight": "a weight that is no positive number",
    "no_time": "no time",
    "bad_time": "a time of another form",
    "broken_row": "another number of fields, or no JSON object",
}


def _rows_dropped(values: _Values) -> str:
    reasons = []
    for reason, rows in zip(values["reasons"], values["reason_rows"], strict=True):
        reasons.append(f"{rows} with {_DROP_REASONS.get(reason, reason)}")
    return f"{values['count']} of {values['of']} {values['split']} rows were left out: {', '.join(reasons)}."


def _overlap(values: _Values) -> str:
    count, rows = values["count"], values["rows"]
    return f"{count} of {rows} {values['split']} texts ({count / rows:.1%}) are among the training texts too."


def _few_validation_rows(values: _Values) -> str:
    return f"Validation has {values['rows']} rows, fewer than {values['fewer_than']}"


def _few_rows_halved(values: _Values) -> str:
    return f"{_few_validation_rows(values)}: they are halved all the same, and intervals will be wide."


def _few_rows_folds(values: _Values) -> str:
    return f"{_few_validation_rows(values)}: {_folds(values)}"


def _folds_asked(values: _Values) -> str:
    return f"As --folds always asks, {_folds(values)}"


def _folds(values: _Values) -> str:
    fewest, most = values["fewest_trained"], values["most_trained"]
    trained = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    return (
        f"confirm runs are scored on {values['folds']} folds of the {values['select']} train and validation rows, each "
        f"trained on {trained} rows of the other folds. The validation rows were also used to choose the "
        "hyperparameters."
    )


def _shared_groups(values: _Values) -> str:
    count, rows = values["count"], values["rows"]
    return (
        f"{count} of {rows} {values['split']} rows ({count / rows:.1%}) have a group in {values['column']!r} that "
        "training rows have too. The split is your own and stays as it is."
    )


def _times_out_of_order(values: _Values) -> str:
    count, rows = values["count"], values["rows"]
    return (
        f"{count} of {rows} {values['split']} rows ({count / rows:.1%}) are earlier in {values['column']!r} than a "
        "training row. The split is your own and stays as it is."
    )


def _few_deciding_rows(values: _Values) -> str:
    detectable = values["detectable"]
    seen = (
        "."
        if detectable is None
        else f": a difference in accuracy of about {detectable:.2f} is the smallest one that usually shows."
    )
    return (
        f"Only {values['rows']} validation rows decide{seen} More validation rows would show smaller differences, as "
        "would --folds always, which assigns training and validation rows to folds together."
    )


def _left_out(values: _Values) -> str:
    # The values of the reason are among those of the notice, so that both are one flat row of the database.
    return f"{values['method']} was left out: {notice_sentence(Notice(code=values['reason'], values=dict(values)))}"


def _limit(values: _Values) -> str:
    return f"The time limit of {format_duration(values['limit'])}"


def _time_limit_seeds(values: _Values) -> str:
    what = f"repeats of {values['folds']} folds" if values["folds"] else "seeds"
    return f"{_limit(values)} allowed {values['done']} of {values['of']} {what} of each finalist."


def _time_limit_short(values: _Values) -> str:
    return (
        f"{_limit(values)} is shorter than the estimate of {format_duration(values['estimate'])}: the last rounds, "
        "trials and seeds will be left out."
    )


def _checkpoint_not_written(values: _Values) -> str:
    return (
        f"A checkpoint of {values['megabytes']:,.1f} MB could not be written below {values['folder']} "
        f"({values['cause']}). Runs go on without it; one that is interrupted begins at the last that was written. "
        "Make room there."
    )


def _positive_label(values: _Values) -> str:
    # Older versions had no other metric of the positive label, and no option to choose it.
    metric = values.get("metric", "F1")
    further = "; --positive names the other one" if "metric" in values else ""
    return f"{metric} is that of the label {values['label']!r}, which is taken for the positive one{further}."


def _less_plausible(values: _Values) -> str:
    # Of an error the lower one is better.
    side = "below" if values["score"] < values["top"] else "above"
    return (
        f"Its best tune score, {values['score']:.3f}, lies {values['gap']:.3f} {side} {values['leader']}'s "
        f"{values['top']:.3f}, more than {values['standard_errors']:g} standard errors ({values['error']:.3f} each, "
        f"{values['rows']} tune rows)."
    )


def _labels_absent(values: _Values) -> str:
    column = f"column {values['column']!r}"
    why = f"{column} is empty" if values["empty"] else f"it has no {column}"
    return f"Ignored in {values['data']}: {values['source']}; {why}, so it cannot be scored."


def _join_labels(values: _Values) -> str:
    """Join the labels of a notice; a label with a comma is quoted."""
    quoted = tuple(repr(label) if "," in label else label for label in values["labels"])
    return _join({**values, "labels": quoted}, "labels")


def _label_names(values: _Values) -> str:
    kept = f"; {values['kept']!r} is part of a name (--separator reads sets)" if values["kept"] else ""
    count = f"{values['labels_count']} names{_FORMS[values['form']]}"
    return f"Label {values['column']}: {count}: {_join_labels(values)}{kept}."


def _label_numbers(values: _Values) -> str:
    notation = []
    if values["decimal"] == ",":
        notation.append("a decimal comma")
    if values["thousands"]:
        notation.append(f"{_MARKS[values['thousands']]} between thousands")
    if values["percent"]:
        notation.append("a percent sign, in percent")
    written = f", with {' and '.join(notation)}" if notation else ""
    pairs = zip(values["samples"], values["numbers"], strict=True)
    samples = ", ".join(f"{text} is {number!r}" if notation else text for text, number in pairs)
    span = f"{values['low']:.6g} to {values['high']:.6g}"
    return f"Label {values['column']}: numbers{_FORMS[values['form']]}, {span}{written}, for example {samples}."


def _label_sets(values: _Values) -> str:
    separator = values["separator"]
    form = f" with {separator!r} between names" if separator else _FORMS[values["form"]]
    parts = [f"Label {values['column']}: sets of {values['labels_count']} names{form}: {_join_labels(values)}"]
    if values["samples"]:
        parts.append(f"for example {'; '.join(values['samples'])}")
    if values["empty"]:
        parts.append(f"{values['empty']} of {values['rows']} rows have none")
    if values["never_count"]:
        parts.append(f"no row has {_join(values, 'never')}, left out")
    if values["one_each"]:
        parts.append("every row has exactly one (--kind reads them as single labels)")
    return f"{'; '.join(parts)}."


def _rows_have_sets(values: _Values) -> str:
    separator = values["separator"]
    how = f" with {separator!r} between the names" if separator else _FORMS[values["form"]]
    return f"Rows have sets of labels{how}; --kind, task.kind in the study file, says otherwise."


def _template(text: str) -> Callable[[_Values], str]:
    """Return what fills a text that needs its values only as `str.format` writes them."""
    return lambda values: text.format_map(values)


_DATA: dict[str, Callable[[_Values], str]] = {
    "rows_read": _rows_read,
    "quotes_are_text": _quotes_are_text,
    "quotes_after_backslash": _template("Quotes inside of the quoted fields of {file} have a backslash before them."),
    "submission_ignored": _template("Ignored in {data}: {file}; it is a form for predictions and has no data."),
    "files_without_split": lambda values: f"Ignored in {values['data']}: {_join(values, 'files')}; {_NO_SPLIT}.",
    "file_labels_withheld": _template(f"Ignored in {{data}}: {{file}}; {_NOT_PUBLIC}."),
    "split_name_unknown": _template(f"Ignored in {{data}}: split {{split}}; {_NO_SPLIT}."),
    "labels_absent": _labels_absent,
    "labels_withheld": _template(f"Ignored in {{data}}: {{source}}; {_NOT_PUBLIC}."),
    "split_labels_withheld": _template(f"Ignored in {{data}}: split {{split}}; {_NOT_PUBLIC}."),
    "split_twice": _template("Ignored in {data}: split {split}; there is another {kept} split."),
    "empty_texts": lambda values: (
        f"Ignored in {values['data']}: split {values['split']}, row {_join(values, 'rows')}; a text is empty."
    ),
    "label_names": _label_names,
    "label_numbers": _label_numbers,
    "label_sets": _label_sets,
    "rows_have_sets": _rows_have_sets,
    "glue_metric": _template("The metric is {metric}, which GLUE uses for {dataset}; --metric chooses another."),
    "positive_named": _template("{metric} is that of the label {label!r}, as --positive says."),
    "positive_label": _positive_label,
    "validation_is_test": _validation_is_test,
    "validation_file_is_test": _template(
        "The validation file is the test split: further training rows are the validation split."
    ),
    "validation_file_unused": _template(
        "The validation file is not used: further training rows are the validation split."
    ),
    "test_split_off": _template("No test split was given: {count} of the {of} training rows are the test split."),
    "validation_split_off": _template(
        "No validation split was given: {count} of the {of} training rows are validation rows."
    ),
    "tune_split_off": _template(
        "All {validation} validation rows decide, and nothing else does: {count} of the {of} training rows choose "
        "settings and checkpoints, {left} remain."
    ),
    "rows_left_out": _template(
        "{count} of {of} rows have no job: their text or group is on the other side of the {split} split."
    ),
    "resampled_training_rows": _template("Every confirm run has its own sample of {rows} of the {of} training rows."),
    "labels_without_rows": lambda values: (
        f"{values['labels_count']} of {values['of']} labels have no row among the {values['rows']} training rows: "
        f"{_join(values, 'labels')}."
    ),
    "labels_without_test_rows": lambda values: (
        f"{values['labels_count']} of {values['of']} labels have no row among the {values['rows']} test rows, and no "
        f"score there: {_join(values, 'labels')}."
    ),
    "rare_labels": lambda values: (
        f"Fewer than {values['fewer_than']} training rows have the label: {_join(values, 'labels')}."
    ),
    "possible_typos": _possible_typos,
    "labels_merged": _labels_merged,
    "rows_dropped": _rows_dropped,
    "weights_read": _template("Weight {column}: {low:g} to {high:g}, {mean:.3g} in the mean of the training rows."),
    "weights_absent": _template(
        "The {split} rows of {data} have no column {column!r}; each counts as much as a usual training row."
    ),
    "texts_with_two_labels": _template("{count} training texts occur with two or more labels."),
    "overlap": _overlap,
    "test_rows_in_validation": _template(
        "{count} of {rows} test rows are among the validation rows; the test confirms nothing by them."
    ),
    "few_validation_rows": _few_rows_halved,
    "few_validation_rows_folds": _few_rows_folds,
    "folds_asked": _folds_asked,
    "few_deciding_rows": _few_deciding_rows,
    "shared_groups": _shared_groups,
    "times_out_of_order": _times_out_of_order,
    "tokens_unknown": _template(
        "{share:.1%} of the tokens are unknown to the model's tokenizer; a model for the texts' language may do better."
    ),
    "rows_cut": _template("{share:.1%} of the rows are longer than the limit of tokens and were cut."),
    "fewer_positions": _template(
        "{model} takes at most {tokens} tokens, fewer than task.max_length, {asked}: {share:.1%} of the rows are "
        "longer and were cut."
    ),
}
_BACKBONE: dict[str, Callable[[_Values], str]] = {
    "few_tokens": _template(
        "The tokenizer has {tokens:,} tokens for {embeddings:,} embeddings; it may be another model's."
    ),
    "tokens_without_embedding": lambda values: (
        f"The model has no embedding for {', '.join(values['tokens'])}, which no text may hold."
    ),
    "pooling_unknown": _template(
        "The checkpoint declares the pooling {declared}, which is not computed here; {used} is used."
    ),
    "pooling_unfit": _template(
        "The checkpoint declares the pooling {declared}, which does not fit the model; {used} is used."
    ),
    "modules_unused": lambda values: (
        f"The checkpoint has modules after its pooling that are not used: {', '.join(values['modules'])}."
    ),
}
_SEARCH: dict[str, Callable[[_Values], str]] = {
    "method_left_out": _left_out,
    "attaches_to_some_layers": _template("{method} attaches to {reached} of {layers} layers of this backbone."),
    "not_timed": _template("{method} was not timed, so the estimate is without it. {cause}"),
    "steps_shortened": _template(
        "The time limit allows runs of {steps} steps; without a limit they would have {without_limit}."
    ),
    "time_limit_short": _time_limit_short,
    "time_limit_screen": lambda values: (
        f"{_limit(values)} allowed {values['done']} of {values['rounds']} screen rounds."
    ),
    "time_limit_trials": lambda values: f"{_limit(values)} allowed {values['done']} of {values['of']} trials.",
    "time_limit_unconfirmed": lambda values: (
        f"{_limit(values)} left no time to confirm {', '.join(values['methods'])}."
    ),
    "time_limit_seeds": _time_limit_seeds,
    "too_few_trials_left": _template("{left} of {of} trials were left, too few for one more of each method."),
}
_ADAPTERS: dict[str, Callable[[_Values], str]] = {
    "no_block_output": lambda values: (
        f"The adapter of {', '.join(values['methods'])} reads the feed-forward network's output, not the published "
        "input: on this backbone it cannot be found out what a block hands on without an adapter."
    ),
    "feed_forward_adapter": lambda values: (
        f"The adapter of {', '.join(values['names'])} reads the feed-forward network's output (adapter.input: "
        "feed_forward, as in every study of edition 1), not the published input: these are not the figures of the "
        "published adapter."
    ),
}
_REASONS: dict[str, Callable[[_Values], str]] = {
    "cannot_attach": _template("{cause}"),
    "too_large": _template("Its smallest sizes store {stored:,} numbers, more than --max-parameters, {limit:,}."),
    "too_slow": _template("A row took it {milliseconds:.2f} ms, far more than --max-latency-ms, {limit:g}."),
    "no_trial_succeeded": _template("None of its trials succeeded."),
    "trial_failed": _template("Its trial failed."),
    "less_plausible": _less_plausible,
}
_RUNS: dict[str, Callable[[_Values], str]] = {
    "probabilities_of_best": lambda values: (
        f"Probabilities are kept of {', '.join(values['methods'])} only: those of all confirmed methods take "
        f"{values['megabytes']} MB, more than {values['limit']} MB. The predicted labels of all are kept."
    ),
    "probabilities_needed": _template(
        "Probabilities take {megabytes} MB, more than {limit} MB, and are all kept: {metric} and its intervals are "
        "computed from them."
    ),
    "run_again_elsewhere": _template("{run} is done again on another machine: {cause}"),
    "run_again_halved": _template(
        "{run} is done again with half of the rows at a time, but for rounding the same: {cause}"
    ),
    "fewer_workers": _template(
        "The machine ran out of memory and Ray ended the workers; their runs are done again, {workers} at a time."
    ),
    "checkpoint_not_written": _checkpoint_not_written,
    "study_stopped": _template("The study was stopped after {failures} runs in a row failed alike: {cause}"),
}
SENTENCES: dict[str, Callable[[_Values], str]] = {
    LEGACY: _template("{sentence}"),
    **_DATA,
    **_BACKBONE,
    **_SEARCH,
    **_ADAPTERS,
    **_REASONS,
    **_RUNS,
}
"""What makes the sentence of each code from the notice's values."""
