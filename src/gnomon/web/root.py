"""`/`: says what is here. Holds no secret and needs no token."""

from __future__ import annotations

import html

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from gnomon.core.version import __version__

router = APIRouter()
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>gnomon</title>
<h1>gnomon {version}</h1>
<p>The scheduler runs. This version is asked on the command line and over REST; it has no pages to look at yet.</p>
<p>A token is what the link in the log of <code>gnomon serve</code> carries behind its <code>#</code>,
and what <code>gnomon token create</code> makes:</p>
<pre>curl -H "Authorization: Bearer TOKEN" {base}/api/v1/jobs
curl -H "Authorization: Bearer TOKEN" {base}/api/v1/openapi.json
gnomon --server {base} jobs list
curl {base}/healthz
curl {base}/metrics</pre>
</html>
"""


@router.get("/", include_in_schema=False)
def root(request: Request) -> HTMLResponse:
    """What to do next."""
    base = html.escape(f"{request.url.scheme}://{request.url.netloc}")
    return HTMLResponse(_PAGE.format(version=__version__, base=base))
