"""How Sphinx builds the manual: `make docs`."""

from __future__ import annotations

import gnomon

project = "gnomon"
author = "the gnomon developers"
copyright = "2026, the gnomon developers"
release = version = gnomon.__version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = "gnomon"
