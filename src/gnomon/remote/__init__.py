"""A gnomon server from elsewhere: `Client` and `AsyncClient` over REST, and the desk of the command line."""

from gnomon.core.records import Page

from .address import Address
from .calls.call import When, Words
from .calls.runs import LogPart
from .client import AsyncClient, AsyncListing, Client, Listing
from .streams import Event

__all__ = [
    "Address",
    "AsyncClient",
    "AsyncListing",
    "Client",
    "Event",
    "Listing",
    "LogPart",
    "Page",
    "When",
    "Words",
]
