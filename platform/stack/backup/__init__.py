"""Backups of the cluster: base backups and the log, sealed in an archive, and restores that are checked."""
