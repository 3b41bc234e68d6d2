"""What a run answers: frozen, stable as JSON, no behaviour."""
