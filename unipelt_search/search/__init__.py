"""The search space, what to try next, when to stop, and running it on Ray Tune."""
