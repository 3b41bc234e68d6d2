"""A trained run as a model for others: its folder, in our form, in PEFT's or merged; loading it and using it."""
