"""The public order-entry API."""
