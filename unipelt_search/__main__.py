"""Lets `python -m unipelt_search` do what `unipelt-search` does."""

from __future__ import annotations

import sys

from unipelt_search.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
