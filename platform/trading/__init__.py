"""The system under test: a trading platform of three processes around one pure core."""
