"""The registrar: ASAP's server side and ENRP among registrars (RFC 5352, RFC 5353).

`core.Registrar` is sans-IO; `shell` moves its bytes.
"""
