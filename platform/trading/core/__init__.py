"""The market's rules: a deterministic state machine without I/O, clock, randomness or floats."""

from trading.compiled import compiled_core

__path__[:0] = compiled_core()
