from __future__ import annotations

from unipelt_search.records.study_plan import PlannedExport
from unipelt_search.reporting.export_sentences import export_sentences, export_summary


def test_methods_with_the_same_reason_are_named_together() -> None:
    exports = [
        PlannedExport(method="lora", merged="transformers", peft=True),
        PlannedExport(method="ia3", merged="transformers", peft_obstacle="it rains"),
        PlannedExport(method="prefix", variant="mine", merged_obstacle="it is long", peft_obstacle="it rains"),
    ]
    merged, peft = export_sentences(exports)
    assert merged == "--merged can hold lora, ia3, which transformers alone loads; not mine: it is long."
    assert peft == "--peft can hold lora; not ia3, mine: it rains."
    assert "--merged` will be able to hold lora, ia3; `--peft` lora." in export_summary(exports)


def test_a_plan_may_have_no_form_or_no_entries() -> None:
    assert export_sentences([]) == []
    entry = PlannedExport(method="adapter", merged_obstacle="x", peft_obstacle="y")
    assert export_sentences([entry])[0] == "--merged can hold nothing; not adapter: x."
