"""Everything with a socket: settings, database, journal, Redis, telemetry."""
