"""Who may do what: roles and permissions, tokens, users, sessions."""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from .errors import Unauthenticated, usage
from .values import Json

ID_BITS = 60
SECRET_BITS = 256
SESSION_LIFE = timedelta(days=30)
"""How long a session lasts at most."""
SESSION_IDLE = timedelta(hours=24)
"""How long a session lasts without being used."""
ANSWERS_KEPT = timedelta(hours=24)
"""How long the answer to a request with an idempotency key is kept."""
NAME_RULE = "1 to 64 letters, digits, `.`, `_`, `-`, `@`, the first a letter or digit"
BOOTSTRAP = "bootstrap"
"""Name of the token that a first start makes."""

_PREFIX = "gnm_"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_CHARS, _SECRET_CHARS, _SUM_CHARS = 12, 52, 7
_TOKEN = re.compile(rf"gnm_([{_ALPHABET}]{{{_ID_CHARS}}})_([{_ALPHABET}]{{{_SECRET_CHARS + _SUM_CHARS}}})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)


class Role(StrEnum):
    """What somebody is; each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    AUTHOR = "author"
    ADMIN = "admin"


class Permission(StrEnum):
    """A kind of action.

    READ: see jobs, runs, output, settings. RUN: run, retry, rerun, backfill, skip, cancel, pause, resume, acknowledge.
    DEFINE: make, change and delete jobs, schedules, configurations and history; whoever may, runs code as the user of
    the service. ADMIN: tokens, users, audit.
    """

    READ = "read"
    RUN = "run"
    DEFINE = "define"
    ADMIN = "admin"


_RANK = {role: rank for rank, role in enumerate(Role)}
_NEEDS = {
    Permission.READ: Role.VIEWER,
    Permission.RUN: Role.OPERATOR,
    Permission.DEFINE: Role.AUTHOR,
    Permission.ADMIN: Role.ADMIN,
}


def may(role: Role, permission: Permission) -> bool:
    """Whether `role` includes `permission`."""
    return _RANK[role] >= _RANK[_NEEDS[permission]]


def least_role(permission: Permission) -> Role:
    """The smallest role that includes `permission`."""
    return _NEEDS[permission]


def lesser(one: Role, other: Role) -> Role:
    """The one of two roles that may do less."""
    return min(one, other, key=lambda role: _RANK[role])


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone known who asks.

    Attributes:
        name: of the token.
        role: what they may do now.
        token_id: of the token they came with, or signed in with.
        actor: how history names them (`rest:NAME`).
        user: whose token it is, or None.
    """

    name: str
    role: Role
    token_id: str
    actor: str
    user: str | None = None


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token as the store has it: `digest` instead of its secret.

    Attributes:
        user: whose it is: then it may no more than they may.
        last_used_at: exact to a minute.
    """

    id: str
    name: str
    user: str | None
    role: Role
    digest: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A person, who has tokens."""

    name: str
    role: Role
    disabled_at: datetime | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A browser that signed in with a token; it may what the token may, and ends with it."""

    id_digest: str
    token_id: str
    created_at: datetime
    expires_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a request with an idempotency key was answered. `request`: fingerprint of the request."""

    actor: str
    key: str
    operation: str
    request: str
    answer: Json
    at: datetime


def is_name(text: str) -> bool:
    """Whether `text` may name a token or a user (`NAME_RULE`)."""
    return _NAME.fullmatch(text) is not None


def effective_role(token: TokenRecord, user: UserRecord | None) -> Role:
    """What a token may: no more than its user may."""
    return token.role if user is None else lesser(token.role, user.role)


def refusal(token: TokenRecord, user: UserRecord | None, now: datetime) -> str | None:
    """Why a token counts for nothing at `now`: an error code, or None if it is good.

    Args:
        user: the record of `token.user`, if there is one.
    """
    if token.revoked_at is not None:
        return "token_revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return "token_expired"
    if token.user is not None and (user is None or user.disabled_at is not None):
        return "user_disabled"
    return None


def session_over(session: SessionRecord, now: datetime) -> bool:
    """Whether a session lasts no more at `now`, by its age or because nobody used it."""
    return session.expires_at <= now or session.last_seen_at <= now - SESSION_IDLE


# ---- texts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token as its holder has it: `gnm_<id>_<secret>`, the secret with its checksum."""

    id: str
    secret: str

    def __str__(self) -> str:
        return f"{_PREFIX}{self.id}_{self.secret}"

    def __repr__(self) -> str:
        return f"TokenText({self.id!r}, …)"


def make_token(id_bits: int, secret_bits: int) -> TokenText:
    """A new token.

    Args:
        id_bits: `ID_BITS` random bits.
        secret_bits: `SECRET_BITS` random bits.
    """
    id_, secret = _spell(id_bits, _ID_CHARS), _spell(secret_bits, _SECRET_CHARS)
    return TokenText(id_, secret + _checksum(f"{_PREFIX}{id_}_{secret}"))


def parse_token(text: str) -> TokenText:
    """The token of a text, as its holder wrote it.

    Raises:
        Unauthenticated: `token_malformed`: it is not like a token, or has a typing mistake. The text is not repeated.
    """
    found = _TOKEN.fullmatch(text.strip())
    hint = "a token is copied as a whole: gnm_, 12 letters and digits, _, 59 more"
    if found is None:
        raise _malformed("the token does not look like one of gnomon's", hint)
    token = TokenText(found[1], found[2])
    if _checksum(str(token)[:-_SUM_CHARS]) != token.secret[-_SUM_CHARS:]:
        raise _malformed("the token has a mistake in it: its checksum is wrong", hint)
    return token


def make_session_secret(bits: int) -> str:
    """What a browser keeps of its session: `SECRET_BITS` random bits as text."""
    return _spell(bits, _SECRET_CHARS)


def secret_digest(key: bytes, purpose: str, secret: str) -> str:
    """What the store keeps instead of a secret: HMAC-SHA256 under the server's key.

    Args:
        purpose: `token` or `session`, so that one is never taken for the other.
    """
    return hmac.new(key, f"{purpose}:{secret}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def same_digest(one: str, other: str) -> bool:
    """Whether two digests are equal; takes as long wherever they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def check_name(text: str, key: str = "name") -> str:
    """`text`, if it may name a token or a user.

    Raises:
        UsageError: `bad_name`.
    """
    if not is_name(text):
        raise usage("bad_name", f"{text[:80]!r} is no name for a token or user", key=key, hint=NAME_RULE)
    return text


def role_of(text: str, key: str = "role") -> Role:
    """The role of that name.

    Raises:
        UsageError: `role_unknown`.
    """
    try:
        return Role(text)
    except ValueError:
        known = ", ".join(Role)
        raise usage("role_unknown", f"no role is called {text[:80]!r}", key=key, hint=f"known: {known}") from None


def _malformed(message: str, hint: str) -> Unauthenticated:
    return Unauthenticated(*usage("token_malformed", message, hint=hint).problems)


def _spell(number: int, chars: int) -> str:
    """`chars` signs of 5 bits each."""
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (chars - 1), -1, -5))


def _checksum(text: str) -> str:
    """CRC-32: finds every single wrong sign and every two neighbours that changed places."""
    return _spell(zlib.crc32(text.encode()), _SUM_CHARS)
