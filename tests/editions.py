"""What configurations of a test's study depend on: the first edition needs no backbone, the newest one has MiniLM's."""

from __future__ import annotations

from unipelt_search.methods.basis import Basis
from unipelt_search.records.history import EDITION

EDITION_1 = Basis(edition=1)
NEWEST = Basis(edition=EDITION, hidden_size=384)
TINY = Basis(edition=EDITION, hidden_size=32)
