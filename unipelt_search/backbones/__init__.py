"""Pretrained transformers: families as data, discovery by structure, loading, the attention interface."""
