"""The PostgreSQL cluster: its servers, the receiver that keeps a third copy, and the supervisor that fails over."""
