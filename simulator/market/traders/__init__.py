"""The kinds of traders a market is made of, one module each."""
