"""The two implementations behind the sockets: userland and kernel."""
