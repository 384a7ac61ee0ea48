"""The kinds of traders of a day, one module each: what a day file may say about them, and how they decide."""
