"""The market's rules: a deterministic state machine without I/O, clock, randomness or floats."""
