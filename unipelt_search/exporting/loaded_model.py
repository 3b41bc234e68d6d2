"""An exported model in use: labels and probabilities for texts, and which gates opened on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from unipelt_search.backbones.backbone import Backbone, backbone_hash
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.backbones.tokenizer_check import embedding_rows
from unipelt_search.errors import BackboneError, RequestError, SavedModelError
from unipelt_search.exporting.saved_model import SavedModel, read_description, read_weights
from unipelt_search.exporting.table_predictions import (
    check_text_columns,
    kept_columns,
    output_columns,
    predict_tables,
    predicted_frame,
)
from unipelt_search.exporting.table_source import (
    Reason,
    file_pieces,
    find_files,
    survey_tables,
    unusable_text,
)
from unipelt_search.kinds.label_kind import Prediction
from unipelt_search.methods.catalogue import find_method, named_methods
from unipelt_search.pelt.pack import Pack, without_training_only
from unipelt_search.specs.study import BackboneSpec
from unipelt_search.specs.trial import RunSpec
from unipelt_search.tasks.encode import EncodedSplit, encode_texts, pad_token_id
from unipelt_search.tasks.known_tokens import check_split
from unipelt_search.training.evaluate import predict
from unipelt_search.training.recorder import ACTIVE_ABOVE, GateRecorder

Texts = Sequence[str] | Sequence[tuple[str, ...]]
"""One text per row, or the two of a pair."""


class LoadedModel:
    """A trained model, warm: its backbone stays in memory. One thread may use it at a time."""

    def __init__(self, saved: SavedModel, pack: Pack) -> None:
        """Take what was loaded.

        Args:
            saved: The model's description.
            pack: Its tensors, attached to its backbone.
        """
        self.saved = saved
        self._pack = pack

    @property
    def method(self) -> str:
        """The method that it was trained with."""
        return self.saved.trial.method

    @property
    def labels(self) -> tuple[str, ...]:
        """What it can predict; none for regression."""
        return self.saved.task.labels

    @property
    def text(self) -> tuple[str, ...]:
        """The column with the text in the training data, or the two columns of a text pair."""
        return self.saved.task.text

    def predict(self, texts: Texts) -> list[Prediction]:
        """Predict labels of texts, in batches of similar length.

        Args:
            texts: Texts, or pairs of texts where the study had two text columns.

        Returns:
            One prediction per row, in order.

        Raises:
            RequestError: A row is no text, or no pair of texts, as the model needs it.
            BackboneError: The tokenizer finds no token in a row.
        """
        split = self._encode(texts)
        return self.saved.task.target.predictions(self._logits(split)[0])

    def predict_rows(
        self,
        rows: Sequence[tuple[str, ...]],
    ) -> tuple[list[Prediction | None], list[Reason | None]]:
        """Predict labels of the rows that have a usable text, in batches of similar length.

        Args:
            rows: One text per row, or the two of a pair; any of them may be empty.

        Returns:
            For each row, in order, its prediction or None, and why it has none.
        """
        reasons: list[Reason | None] = [unusable_text(row) for row in rows]
        filled = [number for number, reason in enumerate(reasons) if reason is None]
        task = self.saved.task
        split = encode_texts(
            [rows[number] for number in filled],
            self._pack.backbone.tokenizer,
            task.max_length,
            task.truncation,
            allow_empty=True,
        )
        limit = embedding_rows(self._pack.backbone.name, self._pack.backbone.model)
        known = []
        for position, ids in enumerate(split.input_ids):
            reasons[filled[position]] = _unusable_tokens(ids, limit)
            if reasons[filled[position]] is None:
                known.append(position)
        predictions: list[Prediction | None] = [None] * len(rows)
        if known:
            found = task.target.predictions(self._logits(split.take(known))[0])
            for position, prediction in zip(known, found, strict=True):
                predictions[filled[position]] = prediction
        return predictions, reasons

    def predict_table(
        self,
        data: str | Path,
        *,
        text: Sequence[str] = (),
        ids: Sequence[str] = (),
    ) -> Iterator[pd.DataFrame]:
        """Predict the rows of a file piece by piece, so that it may be larger than the memory.

        Args:
            data: A file of a kind that can be trained on, or several as ``parts/*.csv``; a label column is not needed.
            text: The column with the text, or the two of a text pair; none for those of the training data.
            ids: The columns of the file that are kept; none for all.

        Yields:
            At most 512 rows, numbered from 0 over all pieces: the columns that are kept, `label`,
            `probability of LABEL` for each label, and `reason`, which says why a row has no prediction.

        Raises:
            RequestError: A column is missing, or the model takes another number of texts.
            DataError: The file cannot be found or read.
        """
        pieces = file_pieces(find_files(data))
        columns = check_text_columns(text, self.text)
        # Read twice: an error in the last row is known before the first one is predicted.
        survey = survey_tables(pieces((*ids, *columns)), columns)
        output = output_columns(kept_columns(survey, pieces, ids), self.labels)
        wanted = tuple(dict.fromkeys((*output.kept, *columns)))
        begin = 0
        for rows in predict_tables(self, pieces(wanted), columns, output.kept):
            yield predicted_frame(rows, output, begin)
            begin += len(rows)

    def gates(self, texts: Texts) -> pd.DataFrame:
        """Look at the gates while the model reads texts.

        Args:
            texts: As for `predict`.

        Returns:
            One row per text × layer × gate: `row` and `layer`, counted from 0, `gate`, `value` in (0, 1), and `open`,
            whether the value is above 0.5.

        Raises:
            RequestError: The method has no gates, or a row is no text.
            BackboneError: The tokenizer finds no token in a row.
        """
        if not find_method(self.method).gated:
            gated = ", ".join(method.name for method in named_methods() if method.gated)
            raise RequestError(f"Only gated methods have gates; this model is {self.method}, gated are: {gated}.")
        split = self._encode(texts)
        recorder = GateRecorder(1, len(split), contributions=False)
        self._logits(split, recorder)
        frames = []
        for (layer, gate), values in recorder.gates(0).items():
            rows = np.arange(len(split))
            frames.append(pd.DataFrame({"row": rows, "layer": layer, "gate": gate, "value": values}))
        columns = ["row", "layer", "gate", "value"]
        frame = pd.concat(frames) if frames else pd.DataFrame(columns=columns)
        frame = frame.sort_values(["row", "layer", "gate"], kind="stable", ignore_index=True)
        return frame.assign(open=frame["value"] > ACTIVE_ABOVE)

    def __repr__(self) -> str:
        """Say what it is."""
        outputs = f"{len(self.labels)} labels" if self.labels else "numbers"
        return f"<LoadedModel {self.method} on {self.saved.backbone.model}: {outputs}>"

    def _encode(self, texts: Texts) -> EncodedSplit:
        rows = _rows_of(texts, len(self.text))
        task = self.saved.task
        split = encode_texts(rows, self._pack.backbone.tokenizer, task.max_length, task.truncation)
        return check_split(split, self._pack.backbone)

    def _logits(self, split: EncodedSplit, recorder: GateRecorder | None = None) -> np.ndarray:
        padding = pad_token_id(self._pack.backbone.tokenizer)
        return predict(self._pack, split, padding, np.arange(len(split)), recorder=recorder)


def load_saved(folder: Path, device: str, backbone: str | None = None) -> LoadedModel:
    """Load an exported model.

    Args:
        folder: What `export` wrote, from anywhere.
        device: `cpu` or `cuda`.
        backbone: The backbone's folder or hub name, where it is no longer what it was; its weights must be the same.

    Returns:
        The model, ready to predict.

    Raises:
        SavedModelError: The folder is damaged, hostile or foreign, or the backbone is another one.
        RequestError: The device is unknown or not there.
    """
    if device not in {"cpu", "cuda"}:
        raise RequestError(f"device must be 'cpu' or 'cuda'; got {device!r}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise RequestError("device 'cuda' needs a GPU that torch can use; there is none. Choose 'cpu'.")
    saved = read_description(folder)
    loaded = _load_its_backbone(saved, folder, device, backbone)
    pack = Pack(loaded, [without_training_only(RunSpec(trial=saved.trial, seeds=saved.seeds))])
    try:
        pack.load_slot_state_dict(0, read_weights(folder, saved, pack.slot_state_dict(0)))
    except SavedModelError:
        pack.close()
        raise
    return LoadedModel(saved, pack.eval())


def _load_its_backbone(saved: SavedModel, folder: Path, device: str, name: str | None) -> Backbone:
    known = saved.backbone
    spec = BackboneSpec(model=name or known.model, pooling=known.pooling)
    try:
        backbone = load_backbone(spec, saved.task.target.outputs, device)
    except BackboneError as error:
        raise SavedModelError(
            f"{folder} needs its backbone {known.model!r}, which cannot be loaded. If it lies elsewhere, say where "
            f"with backbone= (--backbone). {error}"
        ) from error
    if backbone_hash(backbone) != known.weights_hash:
        commit = f", revision {known.revision}" if known.revision else ""
        raise SavedModelError(
            f"A model works only on the backbone that it was trained on, {known.model!r}{commit}; the weights of "
            f"{spec.model!r} are others. Give the right one with backbone= (--backbone)."
        )
    return backbone


def _rows_of(texts: Texts, columns: int) -> list[tuple[str, ...]]:
    """Check texts or pairs of them, and make every row a tuple."""
    wanted = "a list of texts" if columns == 1 else "a list of pairs of texts"
    if isinstance(texts, str):
        raise RequestError(f"This model takes {wanted}; got one text. Put it into a list.")
    rows = []
    for number, row in enumerate(texts):
        given = (row,) if isinstance(row, str) else row
        if not _are_texts(given, columns):
            raise RequestError(
                f"This model takes {wanted}; got {type(row).__name__} {str(row)[:50]!r} in row {number}."
            )
        # Tokenizers refuse half of a surrogate pair, which JSON and files in UTF-16 can hold.
        if any("\ud800" <= character <= "\udfff" for character in "".join(given)):
            raise RequestError(f"Every text must be valid Unicode; half of a surrogate pair is in row {number}.")
        rows.append(tuple(given))
    return rows


def _unusable_tokens(ids: np.ndarray, limit: int) -> Reason | None:
    """Say why a backbone with ``limit`` embeddings cannot read a row's tokens ``(tokens,)``."""
    if not len(ids):
        return "no_token"
    return "no_embedding" if int(ids.max()) >= limit else None


def _are_texts(row: object, columns: int) -> bool:
    return isinstance(row, tuple | list) and len(row) == columns and all(isinstance(text, str) for text in row)
