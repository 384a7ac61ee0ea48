"""Load: open-loop Locust profiles and what records them."""
