"""Stands the platform up: its topology as data, realised as child processes of one owner."""
