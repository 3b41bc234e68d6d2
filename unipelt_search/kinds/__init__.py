"""What a label is: one module per kind of task, each an implementation of the protocol in `label_kind`; without torch."""
