"""Job files: from bytes to jobs, from a directory to changes, and back to text.

`reading` bytes → values with positions · `parsing`, `fields` values → jobs or problems · `graph` dependencies of a
whole set · `snapshot`, `looking`, `directory` what changed on disk · `applying` which jobs a set of files asks for ·
`writing` jobs → text · `validating` a path → all that is wrong with it.
May import: `gnomon.core`, PyYAML. Schedule kinds and task types come in as arguments.
"""
