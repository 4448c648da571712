"""What a user can do, one file per resource. Python, the CLI and REST all come through here, so each rule of
who may do what, and each message, exists once. May import: engine, jobfiles (their pure parts), system, core.
"""
