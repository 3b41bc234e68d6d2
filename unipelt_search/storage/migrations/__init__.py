"""How the tables of a study database came to be, step by step; alembic runs what is in ``versions``."""
