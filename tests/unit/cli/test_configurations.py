"""`gnomon configurations`, and what is said of a configuration elsewhere."""

from __future__ import annotations

import pytest

from .conftest import Gnomon


@pytest.mark.parametrize(
    ("argument", "warned"),
    [
        ("password=hunter22", "password: 'password' holds its secret in plain text"),
        ("url=postgresql://me:hunter22@db/shop", "url: a URL holds a password in plain text"),
        ("password=env:SHOP_PASSWORD", ""),
    ],
)
def test_saving_warns_of_secrets_in_clear(gnomon: Gnomon, argument: str, warned: str) -> None:
    saved = gnomon("configurations", "save", "shop", "--type", "sql", "-a", argument)
    assert saved.out == "shop is saved, version 1\n"
    assert saved.err.startswith(f"warning: {warned}") if warned else not saved.err
    assert "hunter22" not in saved.err


def test_a_configuration_of_configurations_is_refused(gnomon: Gnomon) -> None:
    assert "does not use another" in gnomon("configurations", "save", "a", "-a", "use=b", code=2).err
