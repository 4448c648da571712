"""The `gnomon` command. `main` is the way in and the way out of every error · `command` gives each command its
session and the options all have · one file per group of commands · `output` tables, `sanitising` what terminals get.

May import: app, operations, core. Everything heavy is imported inside the commands: `gnomon --help` stays quick.
"""
