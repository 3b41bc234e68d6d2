"""Records and verdicts become tables, figures and pages. Never trains."""
