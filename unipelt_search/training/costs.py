"""Measuring what a run costs."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """The highest memory use since `__init__`: of the GPU on a GPU, else the process's resident memory.

    Linux can reset a process's high-water mark, so that a warm worker's next run starts its own; elsewhere the
    resident memory is sampled by `sample`.
    """

    def __init__(self, device: torch.device) -> None:
        """Begin to measure."""
        self._device = device
        self._sampled = 0.0
        self._earlier = 0.0
        self._resets = False
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            try:
                _CLEAR.write_text("5")
                self._resets = True
            except OSError:
                self.sample()

    def sample(self) -> None:
        """Take the present resident memory into account."""
        resident = psutil.Process().memory_info().rss
        self._sampled = max(self._sampled, resident / 2**20)

    def include(self, megabytes: float) -> None:
        """Take a peak of the same run in another process into account, in MiB."""
        self._earlier = megabytes

    def megabytes(self) -> float:
        """Return the peak so far, in MiB."""
        if self._device.type == "cuda":
            return max(self._earlier, torch.cuda.max_memory_allocated(self._device) / 2**20)
        self.sample()
        if not self._resets:
            return max(self._earlier, self._sampled)
        peak = max(self._earlier, self._sampled)
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):  # the high-water mark of the resident memory, in kB
                peak = max(peak, int(line.split()[1]) / 1024)
        return peak
