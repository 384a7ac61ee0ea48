"""Whole runs: scenarios as data, the run, the checks and the command line."""
