"""DRILLS: the platform's real processes are hurt again and again under load, and what was promised is counted."""
