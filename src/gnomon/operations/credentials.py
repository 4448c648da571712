"""Tokens as the store has them: the key of their digests, the making of new ones, who administers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from gnomon.core.access import (
    BOOTSTRAP,
    ID_BITS,
    SECRET_BITS,
    Role,
    TokenRecord,
    TokenText,
    effective_role,
    make_token,
    refusal,
    same_digest,
    secret_digest,
)
from gnomon.core.errors import Conflict, NotFound, Problem
from gnomon.core.ports import Entropy, Reader, Transaction
from gnomon.core.values import JsonObject, rfc3339

KEY = "access.key"
RETIREMENT = timedelta(hours=1)
"""How long the first token still counts once somebody else can administer."""
_KEY_BITS = 256
_TOKEN_LIKE = re.compile(r"gnm_([0-9a-z]{12})_[0-9a-z]*")


def known_key(reader: Reader) -> bytes | None:
    """The key under which digests of secrets are made; None: there are none yet."""
    kept = reader.setting(KEY)
    return None if kept is None else bytes.fromhex(kept)


def server_key(tx: Transaction, entropy: Entropy) -> bytes:
    """The key under which digests of secrets are made; made when it is first needed."""
    key = known_key(tx)
    if key is None:
        key = entropy.bits(_KEY_BITS).to_bytes(_KEY_BITS // 8, "big")
        tx.put_setting(KEY, key.hex())
    return key


def token_digest(key: bytes, token: TokenText) -> str:
    """What the store keeps of a token."""
    return secret_digest(key, "token", token.secret)


def new_token(entropy: Entropy) -> TokenText:
    """A token that nobody has."""
    return make_token(entropy.bits(ID_BITS), entropy.bits(SECRET_BITS))


def holds(key: bytes | None, token: TokenText, record: TokenRecord | None) -> bool:
    """Whether the holder of `token` has the secret of `record`. Takes as long whatever is wrong."""
    made = token_digest(key or b"none", token)
    return same_digest(made, "0" * 64 if record is None else record.digest) and key is not None and record is not None


def admins(reader: Reader, now: datetime) -> Sequence[TokenRecord]:
    """The tokens that may administer now. The first one does not count once it is on its way out."""
    found = reader.tokens_of_role(Role.ADMIN)
    users = reader.users_by_name({record.user for record in found if record.user is not None})
    return [
        record
        for record in found
        if refusal(record, users.get(record.user or ""), now) is None
        and effective_role(record, users.get(record.user or "")) is Role.ADMIN
        and not (record.name == BOOTSTRAP and record.expires_at is not None)
    ]


def settle(tx: Transaction, before: Sequence[TokenRecord], now: datetime) -> None:
    """After a change of tokens or users: somebody must still administer, and the first token goes when others do.

    Args:
        before: `admins` before the change.

    Raises:
        Conflict: `last_admin`.
    """
    left = admins(tx, now)
    if before and not left:
        hint = "`gnomon token create --role admin --name NAME` makes another admin first"
        raise Conflict(Problem("last_admin", "nobody could administer any more", hint=hint))
    first = next((record for record in left if record.name == BOOTSTRAP), None)
    if first is not None and len(left) > 1:
        tx.put_token(replace(first, expires_at=now + RETIREMENT))


def find_token(reader: Reader, name: str) -> TokenRecord:
    """The token of that name or id; the token itself will do.

    Raises:
        NotFound: naming the nearest.
    """
    spelt = _TOKEN_LIKE.fullmatch(name)
    record = reader.token(spelt[1]) if spelt else reader.token_by_name(name) or reader.token(name)
    if record is None:
        shown = f"gnm_{spelt[1]}_…" if spelt else name[:80]
        near = difflib.get_close_matches(name, [t.name for t in reader.access_tokens(1000).items], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`gnomon token list` shows them"
        raise NotFound(Problem("token_not_found", f"there is no token {shown!r}", hint=hint))
    return record


def token_view(reader: Reader, record: TokenRecord, now: datetime) -> JsonObject:
    """A token, without its secret: `id, name, user, role, effective_role, state, created_at, created_by, …`."""
    user = None if record.user is None else reader.user(record.user)
    wrong = refusal(record, user, now)
    return {
        "id": record.id,
        "name": record.name,
        "user": record.user,
        "role": str(record.role),
        "effective_role": None if wrong is not None else str(effective_role(record, user)),
        "state": "active" if wrong is None else wrong.removeprefix("token_"),
        "created_at": rfc3339(record.created_at),
        "created_by": record.created_by,
        "expires_at": rfc3339(record.expires_at),
        "last_used_at": rfc3339(record.last_used_at),
        "revoked_at": rfc3339(record.revoked_at),
    }
