"""What a run measures, and what the database knows: frozen, stable as JSON, no behaviour."""
