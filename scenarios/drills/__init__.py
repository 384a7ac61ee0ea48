"""What is tried again and again by hand, because it takes longer than a test may."""
