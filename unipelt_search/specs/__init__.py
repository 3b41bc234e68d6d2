"""What a user may ask: frozen, typed values; unknown keys are refused, every field names its unit."""
