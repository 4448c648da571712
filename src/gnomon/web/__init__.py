"""The scheduler over HTTP: REST, events, metrics, health.

`application` puts it together from a `service` (what the composition root hands in) · `gate` who may come in at all ·
`access` who asks and what they may do · `problems` errors as RFC 9457 documents · `rest/` one file per resource ·
`models/` what the OpenAPI document says of bodies and answers · `server` the web server in a thread of its own.
May import: operations and below; FastAPI, Starlette, uvicorn, pydantic. Every handler is one operation: nothing is
decided here.
"""
