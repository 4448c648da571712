"""A transfer is whole, or it fails and what was at the target stays: answers cut at every place, over real sockets."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gnomon.tasks.file_fsspec import fsspec_place
from gnomon.tasks.file_places import Sending
from gnomon.tasks.file_spots import roots_of_worker
from gnomon.tasks.performing import TaskFailed
from tests.unit.tasks.file_support import do, refusal
from tests.unit.tasks.test_http_calls import failed, perform

TEXT = "".join(f"line {number}\n" for number in range(3_000)).encode()
PACKED = gzip.compress(TEXT, mtime=0)
BARE = (packer := zlib.compressobj(wbits=-15)).compress(TEXT) + packer.flush()


@contextmanager
def answering(get: bytes, head: bytes | None = None) -> Iterator[str]:
    """The address of a server that says this, byte by byte as it is, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as bound:

        def serve() -> None:
            while True:
                try:
                    connection, _ = bound.accept()
                except OSError:
                    return
                with connection:
                    asked = b""
                    while b"\r\n\r\n" not in asked and (part := connection.recv(65536)):
                        asked += part
                    said = head if asked.startswith(b"HEAD") and head is not None else get
                    cut = said.partition(b"\r\n\r\n")
                    connection.sendall(cut[0] + cut[1] if asked.startswith(b"HEAD") else said)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/file"
        bound.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def answer(body: bytes, *headers: str, length: int | None = -1) -> bytes:
    """`length`: what the head says; None: nothing."""
    said = [*headers, *([] if length is None else [f"Content-Length: {len(body) if length == -1 else length}"])]
    return "\r\n".join(["HTTP/1.1 200 OK", "Connection: close", *said, "", ""]).encode() + body


def chunked(body: bytes, *headers: str, cut: int = 0) -> bytes:
    whole = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 4000]), body[at : at + 4000]) for at in range(0, len(body), 4000)
    )
    whole += b"0\r\n\r\n"
    return answer(whole[: len(whole) - cut], "Transfer-Encoding: chunked", *headers, length=None)


GZIP, DEFLATE = "Content-Encoding: gzip", "Content-Encoding: deflate"
BROKEN = {
    "length": answer(TEXT[:-1], length=len(TEXT)),
    "length, nothing came": answer(b"", length=len(TEXT)),
    "chunk cut": chunked(TEXT, cut=1000),
    "last chunk missing": chunked(TEXT, cut=5),
    "gzip, cut in the middle": answer(PACKED[: len(PACKED) // 2], GZIP),
    "gzip, head only": answer(PACKED[:10], GZIP),
    "gzip, no trailer": answer(PACKED[:-8], GZIP),
    "gzip, a byte of the trailer missing": answer(PACKED[:-1], GZIP),
    "gzip, wrong checksum": answer(PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], GZIP),
    "gzip, wrong size": answer(PACKED[:-4] + b"\1\0\0\0", GZIP),
    "gzip until the end, cut": answer(PACKED[:-9], GZIP, length=None),
    "gzip in chunks, cut": chunked(PACKED[:-9], GZIP),
    "gzip, second member cut": answer(PACKED + PACKED[:-3], GZIP),
    "gzip, something behind it": answer(PACKED + b"more", GZIP),
    "deflate, cut": answer(zlib.compress(TEXT)[:-2], DEFLATE),
    "bare deflate, cut": answer(BARE[:-2], DEFLATE),
    "x-gzip, cut": answer(PACKED[:-2], "Content-Encoding: x-gzip"),
}
WHOLE = {
    "length": answer(TEXT),
    "until the end": answer(TEXT, length=None),
    "chunks": chunked(TEXT),
    "gzip": answer(PACKED, GZIP),
    "gzip in chunks": chunked(PACKED, GZIP),
    "gzip until the end": answer(PACKED, GZIP, length=None),
    "gzip in two members": answer(gzip.compress(TEXT[:999]) + gzip.compress(TEXT[999:]), GZIP),
    "deflate": answer(zlib.compress(TEXT), DEFLATE),
    "bare deflate": answer(BARE, DEFLATE),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_leaves_the_old_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with answering(BROKEN[kind]) as url:
        assert refusal("copy", from_=url, to=tmp_path / "a") in ("http_protocol", "connection_lost")
        assert refusal("move", from_=url, to=tmp_path / "a") in ("http_protocol", "connection_lost")
        assert refusal("read", url) in ("http_protocol", "connection_lost")
        assert failed({"url": url}).task_code in ("http_protocol", "connection_lost")
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("kind", WHOLE)
def test_a_whole_answer_arrives(kind: str, tmp_path: Path) -> None:
    with answering(WHOLE[kind]) as url:
        do("copy", from_=url, to=tmp_path / "a")
        assert perform({"url": url})["body"] == TEXT.decode()
    assert (tmp_path / "a").read_bytes() == TEXT


def test_less_than_the_source_was_said_to_have(tmp_path: Path) -> None:
    """The end of an answer without a length is the end of the connection, wherever that comes from."""
    (tmp_path / "a").write_text("old")
    with answering(answer(TEXT[:100], length=None), head=answer(TEXT)) as url:
        assert refusal("copy", from_=url, to=tmp_path / "a") == "transfer_cut"
    assert (tmp_path / "a").read_text() == "old"


def test_an_empty_body_is_packed_in_nothing() -> None:
    with answering(answer(b"", GZIP)) as url:
        assert perform({"url": url})["status"] == 200


def test_elsewhere_too_the_old_file_stays_until_all_has_come() -> None:
    """On what fsspec reaches, where a file is seen while it is written."""
    do("write", "memory://whole/a", content="old", parents=True)

    def half() -> Iterator[bytes]:
        yield b"half"
        assert do("read", "memory://whole/a")["content"] == "old"
        raise TaskFailed("connection_lost", "the source is gone")

    with pytest.raises(TaskFailed, match="gone"):
        fsspec_place("memory://whole/a", {}, roots_of_worker({})).send(half(), Sending())
    assert do("read", "memory://whole/a")["content"] == "old"
    do("write", "memory://whole/a", content="new")
    assert [entry["name"] for entry in do("list", "memory://whole")["entries"]] == ["a"]
    assert do("read", "memory://whole/a")["content"] == "new"
