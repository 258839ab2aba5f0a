"""The protocol engine, without sockets, clocks, threads or global randomness."""
