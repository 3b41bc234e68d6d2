from __future__ import annotations

from unipelt_search.records.report import Verdict


def test_what_competes_is_called_by_its_variant_or_its_method() -> None:
    fields = {"trial": 1, "ties": (), "cheapest_tie": None, "sentence": "", "decided_on": "select"}
    assert Verdict(method="lora", **fields).name == "lora"
    assert Verdict(method="lora", variant="mine", **fields).name == "mine"
    assert Verdict(method=None, **fields).name is None
    assert "name" not in Verdict(method="lora", **fields).model_dump()
