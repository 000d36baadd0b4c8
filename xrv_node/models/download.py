"""Gets released weights files: resumed after a break, checked, from the second source if need be."""

from __future__ import annotations

import http.client
import shutil
import urllib.error
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from xrv_node.errors import WeightsError
from xrv_node.models import model_dir
from xrv_node.models.catalog import remedy
from xrv_node.models.importing import file_sha256, import_file
from xrv_node.models.weights import installed
from xrv_node.product import VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from xrv_node.models.entry import ModelEntry
    from xrv_node.models.weights import Installed

CHUNK = 1 << 20
"""Bytes between two calls of the progress function."""

TIMEOUT = 30.0
"""Seconds without a byte after which a connection is given up."""

ATTEMPTS = 3
"""Connections to one source, each going on where the last one broke."""

PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416


class Progress(Protocol):
    """Called while a download runs."""

    def __call__(self, received: int, total: int | None) -> None:
        """Bytes on disk, and the file's size where it is known."""


class _SourceError(Exception):
    """Why one source could not deliver; the next one may."""


def settings_file(file: Path) -> Path:
    """Return where the second file of a network goes, the one with its dimensions: beside the first."""
    return file.with_suffix(".yaml")


def pull(
    entry: ModelEntry, directory: Path, progress: Progress | None = None, *, force: bool = False
) -> Installed | None:
    """Download and import the weights of a network, unless they are there.

    Of several processes that want the same weights one gets them, and the others wait for it.

    Parameters
    ----------
    entry, progress
        As `fetch`.
    directory
        The model directory. Only looked into where the weights are there, so it may be read-only then.
    force
        Also where the weights are there, as ``importing.import_file``.

    Returns
    -------
    Installed or None
        What was imported; None where the weights were there.

    Raises
    ------
    WeightsError
        As `fetch` and ``importing.import_file``.
    """
    if not force and installed(entry, directory) is not None:
        return None
    downloads = directory / "downloads"
    with model_dir.alone(downloads, entry.name):
        if not force and installed(entry, directory) is not None:  # by the process that this one waited for
            return None
        file = fetch(entry, downloads, progress)
        try:
            return import_file(file, entry, directory, force=force)
        finally:
            for path in (file, settings_file(file)):
                path.unlink(missing_ok=True)  # a pickle has no business here once its tensors are out


def fetch(entry: ModelEntry, directory: Path, progress: Progress | None = None) -> Path:
    """Download the released file of a network, and beside it the one with its dimensions where there is one.

    Proxies are taken from the environment (``https_proxy``, ``no_proxy``), as usual.

    Parameters
    ----------
    entry
        Its ``sources`` are tried in order.
    directory
        Where the file goes, under its released name. A part that an earlier run left behind
        (``NAME.part``) is continued, if the source still has the same file.
    progress
        Called after every ``CHUNK``.

    Returns
    -------
    Path
        The whole file, with the catalogue's digest where that is known. Not converted, not trusted yet.

    Raises
    ------
    WeightsError
        No source delivered, with one reason for each; or the directory cannot be written.
    """
    if not entry.pullable:
        raise WeightsError(f"{entry.name} cannot be downloaded: {remedy(entry)}")
    model_dir.make_ready(directory)
    if entry.settings_url is not None:
        name = settings_file(directory / entry.file).name
        _fetch(
            replace(entry, url=entry.settings_url, mirror=None, file=name, sha256=None, bytes=None), directory
        )
    return _fetch(entry, directory, progress)


def _fetch(entry: ModelEntry, directory: Path, progress: Progress | None = None) -> Path:
    """Download one file, from the first source that has it."""
    target = directory / entry.file
    part = target.with_name(f"{target.name}.part")
    reasons = []
    for url in entry.sources:
        try:
            _fetch_from(url, entry, part, progress or (lambda received, total: None))
        except _SourceError as error:
            reasons.append(f"{url.split('/')[2]}: {error}")
            continue
        part.replace(target)
        _tag_file(part).unlink(missing_ok=True)
        return target
    raise WeightsError(
        f"{entry.name} could not be downloaded ({'; '.join(reasons)}): check the connection and https_proxy, "
        f"or get {entry.file} on another machine and run `xrv-node models import`"
    )


def _fetch_from(url: str, entry: ModelEntry, part: Path, progress: Progress) -> None:
    """Fill ``part`` from one source and check it; leaves a part that is worth continuing."""
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            _receive(url, entry, part, progress)
        except (OSError, http.client.HTTPException) as error:  # URLError, time-outs, broken connections
            reason = str(getattr(error, "reason", error)) or type(error).__name__
            continue
        if entry.sha256 in (None, file_sha256(part)):
            return
        reason = "the file is not the one that was released (SHA-256)"
        _discard(part)
    raise _SourceError(reason)


def _receive(url: str, entry: ModelEntry, part: Path, progress: Progress) -> None:
    """Append to ``part`` what is missing of it, or begin anew where the source cannot continue."""
    have = part.stat().st_size if part.is_file() else 0
    headers = _continuation(url, part, have, pinned=entry.sha256 is not None)
    try:
        response = _open(url, headers)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE:  # the part is longer than the file
            _discard(part)
            raise OSError("the source has a shorter file than the part that was there") from error
        raise _SourceError(f"HTTP {error.code}") from error
    with response:
        resumed = response.status == PARTIAL_CONTENT
        if resumed and not str(response.headers["Content-Range"]).startswith(f"bytes {have}-"):
            _discard(part)
            raise OSError("the source sent another part than was asked for")
        have = have if resumed else 0
        length = response.headers["Content-Length"]
        total = have + int(length) if length and length.isdigit() else entry.bytes
        _check_room(part, entry, total, have)
        _tag_file(part).write_text(f"{url}\n{_validator(response)}")
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                if have == 0 and chunk.lstrip()[:1] == b"<":
                    raise _SourceError("it answered with a web page, not with the file")
                file.write(chunk)
                have += len(chunk)
                progress(have, total)
    if total is not None and have != total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Send a GET. Redirects and proxies are followed, but never to a file:// or ftp:// address."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    opener.addheaders = [("User-Agent", f"xrv-node/{VERSION}"), *headers.items()]
    response: http.client.HTTPResponse = opener.open(url, timeout=TIMEOUT)
    return response


def _continuation(url: str, part: Path, have: int, *, pinned: bool) -> dict[str, str]:
    """Headers that ask for the rest of a file, if the source still has the same one (RFC 9110, 13.1.5).

    A part from another address, or without a validator where no digest would catch a mixture, is begun anew.
    """
    tag = _tag_file(part)
    origin, _, validator = (tag.read_text() if tag.is_file() else "").partition("\n")
    if not have or origin != url or not (validator or pinned):
        return {}
    condition = {"If-Range": validator} if validator else {}
    return {"Range": f"bytes={have}-", **condition}


def _validator(response: http.client.HTTPResponse) -> str:
    """The strong ETag of an answer, else its date; If-Range takes no weak ones."""
    tag = response.headers["ETag"] or ""
    return tag if tag and not tag.startswith("W/") else response.headers["Last-Modified"] or ""


def _check_room(part: Path, entry: ModelEntry, total: int | None, have: int) -> None:
    if total is None:
        return
    if entry.bytes is not None and total != entry.bytes:
        raise _SourceError(f"it offers {total} bytes, the released file has {entry.bytes}")
    free = shutil.disk_usage(part.parent).free
    if total - have > free:
        raise WeightsError(
            f"{entry.file} needs {total - have} bytes, {part.parent} has {free} free: make room there"
        )


def _tag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.source")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag_file(part).unlink(missing_ok=True)
