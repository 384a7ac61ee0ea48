"""The sequencer: one active writer, one warm standby."""
