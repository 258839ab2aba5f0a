"""The registrar: ASAP server side, ENRP among peers; sans-IO, with one thin IO shell."""
