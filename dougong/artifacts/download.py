"""HTTP downloads that resume, retry, and give up on a dead host once per run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from dougong.artifacts.progress import Event, Listener, silent
from dougong.errors import DougongError

# Seconds. A host that does not answer within the first is not there; one that is silent for the second has hung.
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 60.0
ATTEMPTS = 4
_CHUNK = 1 << 20
_ALGORITHMS = {40: "sha1", 64: "sha256", 128: "sha512"}


class UnavailableError(DougongError):
    """This source does not have the file, or cannot be reached; another may."""


class _InterruptedError(Exception):
    """The connection broke or the server is overloaded: worth another try."""


class Downloader:
    """Downloads of one run.

    Args:
        listener: told about bytes as they come.
        pause: seconds before the second attempt; doubled each time.
    """

    def __init__(self, listener: Listener = silent, pause: float = 1.0) -> None:
        self.listener = listener
        self.pause = pause
        self.session = requests.Session()
        self._dead: dict[str, str] = {}  # host → why
        self._reached: set[str] = set()

    def text(self, url: str) -> str:
        """A small text, e.g. a checksum file.

        Raises:
            UnavailableError: it cannot be had.
        """
        return str(self._retried(url, lambda: self._request(url, {}).text))

    def reach(self, url: str) -> None:
        """Look whether a host is there, once per run.

        Raises:
            UnavailableError: it is not; an answer of any kind but "no such host" counts as being there.
        """
        host = urlsplit(url).netloc
        if host not in self._reached:
            try:
                self._request(url, {})
            except UnavailableError:
                if host in self._dead:
                    raise
            self._reached.add(host)
        if host in self._dead:
            raise UnavailableError(f"{host} was found unreachable before ({self._dead[host]})")

    def file(self, url: str, destination: Path, subject: str) -> None:
        """Download to `destination`, continuing what is there from an interrupted try.

        Args:
            subject: the artifact, for progress.

        Raises:
            UnavailableError: it cannot be had; what came so far stays, to be continued.
        """
        self._retried(url, lambda: self._continue(url, destination, subject))

    def _retried(self, url: str, attempt: Callable[[], str | None]) -> str | None:
        retry = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=self.pause),
            retry=retry_if_exception_type(_InterruptedError),
            reraise=True,
        )
        try:
            return retry(attempt)
        except _InterruptedError as error:
            raise UnavailableError(f"{url}: {error}; gave up after {ATTEMPTS} attempts") from error

    def _continue(self, url: str, destination: Path, subject: str) -> None:
        validator = destination.with_suffix(".etag")
        have = destination.stat().st_size if destination.exists() and validator.exists() else 0
        # If-Range: a file that changed meanwhile comes whole, never spliced.
        headers = {"Range": f"bytes={have}-", "If-Range": validator.read_text()} if have else {}
        headers["Accept-Encoding"] = "identity"
        response = self._request(url, headers)
        if response.status_code != requests.codes.partial_content:
            have = 0
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if tag and not tag.startswith("W/"):
            validator.write_text(tag)
        else:
            validator.unlink(missing_ok=True)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        done = have
        try:
            with destination.open("r+b" if have else "wb") as file:
                file.seek(have)
                # read1: what came before a broken connection is kept; read and iter_content would drop it.
                while chunk := response.raw.read1(_CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    self.listener(Event("download", subject, url, done, total))
        except urllib3.exceptions.HTTPError as error:
            raise _InterruptedError(f"the connection broke after {done} of {total or 'unknown'} bytes") from error
        if total is not None and done != total:
            raise _InterruptedError(f"the connection ended after {done} of {total} bytes")
        validator.unlink(missing_ok=True)

    def _request(self, url: str, headers: dict[str, str]) -> requests.Response:
        host = urlsplit(url).netloc
        if host in self._dead:
            raise UnavailableError(f"{url}: {host} was found unreachable before ({self._dead[host]})")
        try:
            response = self.session.get(url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
        except (requests.ConnectionError, requests.Timeout) as error:
            self._dead[host] = _reason(error)
            self.listener(Event("note", host, f"unreachable ({self._dead[host]}), not tried again in this run"))
            raise UnavailableError(f"{url}: {host} is unreachable ({self._dead[host]})") from error
        if response.status_code >= 500 or response.status_code == requests.codes.too_many_requests:
            raise _InterruptedError(f"the server answers {response.status_code} {response.reason}")
        if not response.ok:
            raise UnavailableError(f"{url}: the server answers {response.status_code} {response.reason}")
        return response


def _reason(error: Exception) -> str:
    """The innermost cause, without the layers that wrap it."""
    text = str(error.args[0]) if error.args else str(error)
    for known, plain in (
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
        ("Name or service not known", "its name is not known"),
        ("Temporary failure in name resolution", "its name cannot be resolved"),
        ("Connection refused", "connection refused"),
        ("timed out", "no answer in time"),
    ):
        if known in text:
            return plain
    return text.rsplit(": ", 1)[-1].strip("\"')> ") or type(error).__name__


def published_sum(text: str, filename: str, url: str) -> tuple[str, str]:
    """The sum of a file in upstream's checksum file.

    Args:
        text: the checksum file: a bare sum, or lines of `sum  name` as sha256sum writes them.
        filename: whose sum is wanted.
        url: where the checksum file is from, for messages.

    Returns:
        algorithm and sum; the algorithm follows from the length. Upstreams that publish only SHA-1 protect against
        accidents, not attackers; the lock records SHA-256 in any case.

    Raises:
        UnavailableError: the checksum file has no usable sum for that file.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        found = lines[0][0]
    else:
        found = next((p[0] for p in lines if len(p) == 2 and Path(p[1].lstrip("*")).name == filename), "")
    found = found.lower()
    if not re.fullmatch("[0-9a-f]+", found) or len(found) not in _ALGORITHMS:
        raise UnavailableError(f"{url} has no checksum for {filename}", "the checksum_url in the catalogue is wrong")
    return _ALGORITHMS[len(found)], found


def digest(path: Path, algorithm: str) -> str:
    """A file's sum, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
