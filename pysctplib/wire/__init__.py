"""Bytes and chunks: formats of RFC 9260 section 3. No associations, sockets or time in here."""
