"""Does a market look like a market? Facts with confidence intervals, and answers that are known exactly."""
