"""Deciding: the search space, what to try next, when to stop, and how long that takes; pure functions of records."""
