"""Every way in which a model's folder is broken that was thought of: one sentence, and nothing of it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_folders import BROKEN, break_folder, save_whole
from unipelt_search.backbones.load_backbone import load_backbone
from unipelt_search.errors import BackboneError
from unipelt_search.specs.study import BackboneSpec


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_whole(tmp_path_factory.mktemp("whole"))


def test_the_folder_that_is_broken_was_whole(whole: Path) -> None:
    assert load_backbone(BackboneSpec(model=str(whole)), 2, "cpu").notices == ()


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_folder_is_one_sentence(whole: Path, tmp_path: Path, kind: str) -> None:
    folder = break_folder(whole, tmp_path / "model", kind)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BackboneError, match=BROKEN[kind][1]) as error:
        load_backbone(BackboneSpec(model=str(folder)), 2, "cpu")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700
    assert sorted(tmp_path.rglob("*")) == before
