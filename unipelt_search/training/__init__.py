"""A pack of runs: batches, loop, evaluation, gate recording, checkpoints. Needs no Ray and no database."""
