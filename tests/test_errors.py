from __future__ import annotations

import inspect

from unipelt_search import errors


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)]
    assert all(issubclass(c, errors.UnipeltError) for c in classes)
    assert all(c.__name__ in (errors.__doc__ or "") for c in classes)


def test_did_you_mean() -> None:
    assert errors.did_you_mean("lable", ["text", "label"]) == " Did you mean 'label'?"
    assert errors.did_you_mean("xyz", ["text", "label"]) == ""
