"""Values, states, pure decisions, ports and errors.

Nothing here reads a clock, randomness, a file or a database: `now`, entropy and facts come in
as arguments, decisions go out as data. May import: the standard library only.
"""
