"""ReFT for unipelt-search: a method from another package."""
