"""What travels between processes and to clients: formats, and nothing that opens a socket of its own."""
