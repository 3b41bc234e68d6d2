"""The gate, the submodules, and their attachment to an unmodified Hugging Face model."""
