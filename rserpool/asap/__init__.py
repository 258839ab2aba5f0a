"""The client side of ASAP (RFC 5352): finding registrars, requests, the cache."""
