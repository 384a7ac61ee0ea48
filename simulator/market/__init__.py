"""The market simulator: traders with accounts, seeded, in real time against the platform."""
