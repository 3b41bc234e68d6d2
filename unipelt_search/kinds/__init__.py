"""What a label is: one module per kind of task, each with the protocol of `label_kind`; without torch."""
