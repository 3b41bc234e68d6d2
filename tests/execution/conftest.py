"""The fixtures of `fake_study`: records of studies that never ran."""

from fake_study import all_plausible, dropped, fake, result, spec, task

__all__ = ["all_plausible", "dropped", "fake", "result", "spec", "task"]
