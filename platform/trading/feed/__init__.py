"""The WebSocket feed: books, trades and order updates, by sequence number."""
