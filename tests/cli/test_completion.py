from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import unipelt_search
from unipelt_search.cli.completion import complete_methods, complete_metric, complete_study
from unipelt_search.errors import StorageError


def context(storage: str | None = None) -> Any:
    return SimpleNamespace(params={"storage": storage})


def test_studies_of_the_named_database_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def list_studies(*, storage: str | None = None) -> list[Any]:
        if storage == "damaged":
            raise StorageError("damaged")
        return [SimpleNamespace(name=name) for name in ("reviews-1", "reviews-2", f"in-{storage}")]

    monkeypatch.setattr(unipelt_search, "api", SimpleNamespace(list_studies=list_studies), raising=False)
    assert complete_study(context(), "rev") == ["reviews-1", "reviews-2"]
    assert complete_study(context("other"), "in-") == ["in-other"]
    assert complete_study(context("damaged"), "") == []


def test_methods_are_offered_after_the_last_comma() -> None:
    assert complete_methods("lo") == ["lora"]
    assert complete_methods("lora,unipelt_a") == ["lora,unipelt_ap", "lora,unipelt_al", "lora,unipelt_apl"]
    assert complete_methods("lora,lo") == []


def test_metrics_of_all_kinds_are_offered() -> None:
    assert {"auto", "accuracy", "spearman", "micro_f1"} <= set(complete_metric(""))
    assert complete_metric("spe") == ["spearman"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_program_writes_a_completion_script() -> None:
    # The shell is told by the process that started the program; the second command keeps bash from stepping aside.
    line = f"{shlex.quote(sys.executable)} -m unipelt_search --show-completion; exit $?"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert "_UNIPELT_SEARCH_COMPLETE" in done.stdout
