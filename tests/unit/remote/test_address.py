"""Where tokens may go, and what is no address."""

from __future__ import annotations

import pytest

from gnomon import AsyncClient, Client, UsageError
from gnomon.remote import Address


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1:80", "localhost:8085", "[::1]:8085"])
def test_this_machine_may_get_the_token_in_clear(host: str) -> None:
    assert Address.of(f"http://{host}/", "gnm_a").url == f"http://{host}"


@pytest.mark.parametrize("host", ["10.0.0.1", "gnomon.example.org", "0.0.0.0", "127.0.0.1.example.org", "[::2]"])
def test_others_get_it_over_tls_or_on_demand(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError) as caught:
        Address.of(f"http://{host}", "gnm_a")
    assert caught.value.code == "token_in_clear"
    assert Address.of(f"https://{host}", "gnm_a").token == "gnm_a"
    assert Address.of(f"http://{host}", "gnm_a", insecure=True).token == "gnm_a"
    assert Address.of(f"http://{host}", None).token is None
    monkeypatch.setenv("GNOMON_TOKEN", "gnm_b")
    assert "gnm_" not in repr(Address.of(f"https://{host}", "gnm_a"))
    for kind in (Client, AsyncClient):
        with pytest.raises(UsageError):
            kind(f"http://{host}")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gnomon",
        "127.0.0.1:8085",
        "ftp://a",
        "http://",
        "http://a:x",
        "http://u:p@a",
        "http://a/#token=x",
        "https://a?b",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Client(url)
    assert caught.value.code == "server_invalid"
    assert "8085" in caught.value.problems[0].hint


@pytest.mark.parametrize("token", ["a b", "gnm_\nx: y", "größe"])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        Client("http://127.0.0.1", token)
    assert caught.value.code == "token_malformed"
    assert token not in str(caught.value)
