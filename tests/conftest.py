"""What holds for every test: no network, one thread, no settings of whoever runs them."""

from __future__ import annotations

import os

# Before anything imports torch or the hub's client: both read these only once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ.pop("UNIPELT_STORAGE", None)
