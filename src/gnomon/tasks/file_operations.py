"""What file tasks do, whatever the places are. On the worker only."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping

from gnomon.core.values import Json, canonical_json

from .file_arguments import BASE64, MOST_ENTRIES, MOST_READ, data_of
from .file_local import LocalPlace, new_directory
from .file_places import Facts, Place, Sending, matching, place_of, shown
from .performing import TaskFailed, Work

ROOM = 60 * 1024
"""Bytes of a result that content or entries may take: with the facts it stays below what is kept of a run."""
CHECKSUM_LIMIT = 16 * 1024 * 1024
CODES = {
    errno.ENOENT: "file_not_found",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EROFS: "permission_denied",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.ENOTDIR: "not_a_directory",
    errno.ENOTEMPTY: "directory_not_empty",
    errno.EISDIR: "not_a_file",
    errno.EEXIST: "target_exists",
    errno.ELOOP: "too_many_links",
}
_MAKING = ("write", "append", "mkdir", "copy", "move")
Result = dict[str, Json]


def perform(arguments: Mapping[str, Json], work: Work) -> Result:
    """Do it.

    Raises:
        TaskFailed: what was wrong, with the place.
    """
    operation = str(arguments["operation"])
    where = shown(str(arguments.get("path") or arguments.get("from")))
    try:
        result = _OPERATIONS[operation](arguments, work)
    except (FileNotFoundError, NotADirectoryError) as error:
        if isinstance(error, FileNotFoundError) and arguments.get("missing") == "ok" and _is_missing(arguments, work):
            return {"operation": operation, "path": where, "exists": False}
        raise TaskFailed(*_said(error, operation, where)) from None
    except TaskFailed as failed:
        if failed.task_code == "file_not_found" and arguments.get("missing") == "ok" and _is_missing(arguments, work):
            return {"operation": operation, "path": where, "exists": False}
        raise
    except OSError as error:
        raise TaskFailed(*_said(error, operation, where)) from None
    except NotImplementedError as error:
        raise TaskFailed("operation_unsupported", f"{operation} is not possible at {where}: {error}") from None
    work.log(f"{operation} {where}: done")
    return {"operation": operation, **result}


def _is_missing(arguments: Mapping[str, Json], work: Work) -> bool:
    """Whether it is the place itself that is missing, and not what it should go to."""
    return _place(arguments, "path" if "path" in arguments else "from", work).facts() is None


def _said(error: OSError, operation: str, where: str) -> tuple[str, str]:
    code = CODES.get(error.errno or 0, "file_failed")
    if isinstance(error, FileNotFoundError):
        code = "file_not_found"
    elif isinstance(error, TimeoutError | ConnectionError):
        code = "connection_failed"
    hints = {
        "file_not_found": "; `parents: true` makes directories" if operation in _MAKING else "",
        "directory_not_empty": "; `recursive: true` takes what is in it too",
    }
    name = error.filename if isinstance(error.filename, str) and error.filename not in where else None
    said = error.strerror or str(error) or type(error).__name__
    return code, f"{operation} {where}: {said}{f' ({name})' if name else ''}{hints.get(code, '')}"


def _place(arguments: Mapping[str, Json], key: str, work: Work) -> Place:
    options = arguments.get("storage_options")
    if key == "to":
        options = arguments.get("to_storage_options", options if "://" in str(arguments["to"]) else None)
    elif key == "from" and "://" not in str(arguments["from"]):
        options = None
    place = place_of(str(arguments[key]), options if isinstance(options, Mapping) else {}, work)
    if "method" in arguments and hasattr(place, "method"):
        place.method = str(arguments["method"])
    return place


def _how(arguments: Mapping[str, Json]) -> Sending:
    mode = arguments.get("mode")
    return Sending(
        int(mode, 8) if isinstance(mode, str) else None,
        arguments.get("parents") is True,
        arguments.get("overwrite") is not False,
    )


class Passing:
    """Chunks on their way: counted and hashed. Fewer bytes than `source` was said to have are a failure."""

    def __init__(self, chunks: Iterable[bytes], source: Place | None = None, facts: Facts | None = None) -> None:
        self._chunks, self._hash, self.size = chunks, hashlib.sha256(), 0
        self._source, self._least = source, 0 if facts is None else facts.size or 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._hash.update(chunk)
            self.size += len(chunk)
            yield chunk
        if self._source is not None and self.size < self._least:
            text = f"{self._source.shown}: {self.size} of {self._least} bytes came, then it was over"
            raise TaskFailed("transfer_cut", text)

    def view(self) -> Result:
        return {"size": self.size, "sha256": self._hash.hexdigest()}


def _read(arguments: Mapping[str, Json], work: Work) -> Result:
    place = _place(arguments, "path", work)
    most, encoding = arguments.get("max_bytes", MOST_READ), str(arguments.get("encoding", "utf-8"))
    facts = place.facts() or _none(place)
    if facts.is_dir:
        raise TaskFailed("not_a_file", f"{place.shown} is a directory; `operation: list` lists it")
    kept, limit, want = b"", most if isinstance(most, int) else MOST_READ, arguments.get("sha256")
    with place.reading() as chunks:
        passing = Passing(chunks, place, facts)
        for chunk in passing:
            kept += chunk[: limit + 1 - len(kept)]
            if passing.size > (CHECKSUM_LIMIT if want is None else limit) and not want:
                break
        else:
            facts = Facts(facts.kind, passing.size, facts.modified, facts.mode)
    whole = facts.size == passing.size
    content, used = _content(kept[:limit], encoding, place, cut=passing.size > limit)
    truncated = used < passing.size
    said: Result = {"content": content, "encoding": encoding, "truncated": truncated, "kept_bytes": used}
    if truncated:
        said["limit"] = f"max_bytes {limit}, and what a result may hold ({ROOM} bytes)"
    checksum = {"sha256": passing.view()["sha256"]} if whole and want is not False else {}
    return {"path": place.shown, **facts.view(), **said, **checksum}


def _content(data: bytes, encoding: str, place: Place, *, cut: bool) -> tuple[str, int]:
    """The text that fits, and how many bytes of the file it stands for."""
    if encoding == BASE64:
        data = data[: ROOM * 3 // 4 - 3]
        return base64.b64encode(data).decode("ascii"), len(data)
    import codecs

    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(data, final=not cut)
    except UnicodeDecodeError as error:
        hint = "`encoding: base64` keeps any bytes"
        raise TaskFailed("not_text", f"{place.shown} is not {encoding}: byte {error.start}; {hint}") from None
    used = len(data) - (len(decoder.getstate()[0]) if cut else 0)
    if len(canonical_json(text).encode("utf-8", "surrogatepass")) <= ROOM:
        return text, used
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if len(canonical_json(text[:middle]).encode("utf-8", "surrogatepass")) <= ROOM:
            low = middle
        else:
            high = middle - 1
    return text[:low], len(text[:low].encode(encoding, "surrogatepass"))


def _write(arguments: Mapping[str, Json], work: Work) -> Result:
    place, how = _place(arguments, "path", work), _how(arguments)
    data = data_of(arguments.get("content"), str(arguments.get("encoding", "utf-8")))
    passing = Passing([data] if data else [])
    more = place.send(passing, how)
    return {"path": place.shown, **_facts(place), **passing.view(), **more}


def _append(arguments: Mapping[str, Json], work: Work) -> Result:
    place, how = _place(arguments, "path", work), _how(arguments)
    data = data_of(arguments.get("content"), str(arguments.get("encoding", "utf-8")))
    place.append(data, how)
    return {"path": place.shown, **_facts(place), "appended": len(data)}


def _facts(place: Place) -> Result:
    """Of what was just written. A server need not tell, so it is not asked."""
    facts = place.facts() if isinstance(place, LocalPlace) else None
    return facts.view() if facts is not None else {"type": "file", "is_dir": False}


def _none(place: Place) -> Facts:
    raise TaskFailed("file_not_found", f"nothing is at {place.shown}")


def _copy(arguments: Mapping[str, Json], work: Work) -> Result:
    source, target, how = _place(arguments, "from", work), _place(arguments, "to", work), _how(arguments)
    facts = source.facts() or _none(source)
    said: Result = {"path": target.shown, "from": source.shown, "to": target.shown}
    if facts.is_dir:
        return said | _copy_tree(source, target, how, arguments)
    return said | _copy_file(source, target, how, facts)


def _copy_file(source: Place, target: Place, how: Sending, facts: Facts) -> Result:
    if facts.kind != "file":
        raise TaskFailed("not_a_file", f"{source.shown} is neither a file nor a directory")
    if isinstance(source, LocalPlace) and isinstance(target, LocalPlace):
        _not_itself(source, target)
        if how.mode is None and facts.mode is not None and target.facts() is None:
            how = Sending(int(facts.mode, 8) & 0o777, how.parents, how.overwrite)
    with source.reading() as chunks:
        passing = Passing(chunks, source, facts)
        more = target.send(passing, how)
    return {**_facts(target), **passing.view(), **more}


def _not_itself(source: LocalPlace, target: LocalPlace) -> None:
    one, other = os.path.realpath(source.shown), os.path.realpath(target.shown)
    if one == other or other.startswith(one.rstrip("/") + "/"):
        raise TaskFailed("same_place", f"{target.shown} is {source.shown} itself, or inside of it")


def _copy_tree(source: Place, target: Place, how: Sending, arguments: Mapping[str, Json]) -> Result:
    if arguments.get("recursive") is not True:
        raise TaskFailed("not_a_file", f"{source.shown} is a directory; `recursive: true` takes it as a whole")
    if isinstance(source, LocalPlace) and isinstance(target, LocalPlace):
        _not_itself(source, target)
    if isinstance(target, LocalPlace):
        with new_directory(target, how) as draft:
            counts = _fill(source, draft)
    else:
        if (facts := target.facts()) is not None and not (facts.is_dir and how.overwrite):
            raise TaskFailed("target_exists", f"{target.shown} is there already")
        target.mkdir(Sending(None, how.parents))
        counts = _fill(source, target)
    return {"type": "directory", "is_dir": True, "created": True, **counts}


def _fill(source: Place, target: Place) -> Result:
    """Copy what is in a directory. Links become what they lead to, if that is a file."""
    files = size = skipped = 0
    for name, facts in source.entries(recursive=True):
        here, there = source.below(name), target.below(name)
        found = here.facts() if facts.kind == "link" else facts
        if found is not None and facts.kind == "directory":
            there.mkdir(Sending(int(facts.mode, 8) & 0o777 | stat.S_IRWXU if facts.mode else None, parents=True))
        elif found is not None and found.kind == "file":
            mode = int(found.mode, 8) & 0o777 if found.mode and isinstance(there, LocalPlace) else None
            with here.reading() as chunks:
                passing = Passing(chunks, here, found)
                there.send(passing, Sending(mode, parents=True))
            files, size = files + 1, size + passing.size
        else:
            skipped += 1
    return {"files": files, "size": size, **({"skipped": skipped} if skipped else {})}


def _move(arguments: Mapping[str, Json], work: Work) -> Result:
    source, target, how = _place(arguments, "from", work), _place(arguments, "to", work), _how(arguments)
    said: Result = {"path": target.shown, "from": source.shown, "to": target.shown}
    if isinstance(source, LocalPlace) and isinstance(target, LocalPlace):
        if source.rename_to(target, how):
            return said | _facts(target) | {"created": True}
        source.protect()
    facts = source.facts() or _none(source)
    if facts.is_dir:
        _check_movable(source)
        result = _copy_tree(source, target, how, {"recursive": True})
    else:
        result = _copy_file(source, target, how, facts)
    source.delete(recursive=facts.is_dir)
    return said | result


def _check_movable(source: Place) -> None:
    """Refuse to move what a copy would not be the same as, before anything is done."""
    for name, facts in source.entries(recursive=True):
        if facts.kind not in ("file", "directory"):
            hint = "copy the directory, then delete it, if that may be lost"
            text = f"{source.shown} has a {facts.kind}, {name}, which another file system does not get: {hint}"
            raise TaskFailed("operation_unsupported", text)


def _delete(arguments: Mapping[str, Json], work: Work) -> Result:
    place = _place(arguments, "path", work)
    if arguments.get("recursive") is True and str(arguments["path"]).rpartition("/")[2] in ("", ".", ".."):
        text = f"{place.shown}: the last name of the path is empty or made of dots (an empty parameter?): not touched"
        raise TaskFailed("protected_path", text)
    place.delete(arguments.get("recursive") is True, only_dir=arguments["operation"] == "rmdir")
    return {"path": place.shown, "deleted": True}


def _mkdir(arguments: Mapping[str, Json], work: Work) -> Result:
    place = _place(arguments, "path", work)
    created = place.mkdir(_how(arguments))
    return {"path": place.shown, "type": "directory", "is_dir": True, "created": created}


def _list(arguments: Mapping[str, Json], work: Work) -> Result:
    place, pattern = _place(arguments, "path", work), arguments.get("pattern")
    facts = place.facts() or _none(place)
    if not facts.is_dir:
        raise TaskFailed("not_a_directory", f"{place.shown} is no directory")
    given = arguments.get("max_entries", MOST_ENTRIES)
    most, room, count = given if isinstance(given, int) else MOST_ENTRIES, ROOM, 0
    entries: list[Json] = []
    found = place.entries(arguments.get("recursive") is True)
    for name, about in matching(found, str(pattern) if pattern is not None else None):
        count += 1
        entry: Json = {"name": name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), **about.view()}
        room -= len(canonical_json(entry).encode()) + 1
        if len(entries) < most and room > 0:
            entries.append(entry)
    said: Result = {"path": place.shown, "entries": entries, "count": count, "truncated": count > len(entries)}
    if count > len(entries):
        said["limit"] = f"max_entries {most}, and what a result may hold ({ROOM} bytes)"
    return said


def _stat(arguments: Mapping[str, Json], work: Work) -> Result:
    place = _place(arguments, "path", work)
    facts = place.facts() or _none(place)
    said: Result = {"path": place.shown, "exists": True, **facts.view()}
    small = isinstance(place, LocalPlace) and (facts.size or 0) <= CHECKSUM_LIMIT
    wanted = arguments.get("sha256")
    if facts.kind == "file" and (wanted or (wanted is None and small)):
        with place.reading() as chunks:
            passing = Passing(chunks, place, facts)
            for _ in passing:
                pass
        said |= passing.view()
    return said


def _exists(arguments: Mapping[str, Json], work: Work) -> Result:
    place = _place(arguments, "path", work)
    facts = place.facts()
    return {"path": place.shown, "exists": facts is not None, **(facts.view() if facts is not None else {})}


_OPERATIONS: Mapping[str, Callable[[Mapping[str, Json], Work], Result]] = {
    "read": _read,
    "write": _write,
    "append": _append,
    "copy": _copy,
    "move": _move,
    "delete": _delete,
    "mkdir": _mkdir,
    "rmdir": _delete,
    "list": _list,
    "stat": _stat,
    "exists": _exists,
}
