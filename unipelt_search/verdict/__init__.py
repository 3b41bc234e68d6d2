"""The statistics: intervals, ties, what is still plausible. Pure functions of records."""
