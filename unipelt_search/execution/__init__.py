"""Driving a study: executors, workers, and the typed messages between them."""
