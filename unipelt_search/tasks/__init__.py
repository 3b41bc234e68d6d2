"""A dataset becomes a Task: reading, checking, splitting, encoding, metrics."""
