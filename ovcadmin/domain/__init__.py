"""Pure rules without I/O: what is allowed, what fits, what was used."""
