"""`python -m gnomon`."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the working directory: a file `email.py` there is not the library's

from gnomon.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
