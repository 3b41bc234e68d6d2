"""What a label is: one module per kind of task, each of which does what `label_kind` asks for; without torch."""
