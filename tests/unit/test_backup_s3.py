"""Backups in an object store: rclone against a server that speaks S3, on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from backup_program import check_store, load
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def remote(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Stores by the names of their buckets; `vault` is there."""
    # This rclone fails over a bundle for an endpoint that needs none.
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    options = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    boto3.client("s3", aws_access_key_id="key", aws_secret_access_key="hunter2", **options).create_bucket(
        Bucket="vault"
    )
    configuration = tmp_path / "rclone.conf"
    configuration.write_text(
        "[target]\ntype = s3\nprovider = Other\nenv_auth = false\nno_check_bucket = true\n"
        f"endpoint = {endpoint}\naccess_key_id = key\nsecret_access_key = hunter2\n"
    )
    return lambda bucket: load().Remote(f"target:{bucket}/blue", configuration)


def test_a_backup_is_stored_read_back_listed_and_brought(remote: Callable[[str], Any], tmp_path: Path) -> None:
    check_store(remote("vault"), tmp_path)


def test_a_bucket_that_is_not_there_is_refused(remote: Callable[[str], Any]) -> None:
    with pytest.raises(load().BackupError, match="valut has to be there") as caught:
        remote("valut")
    assert "try by hand: rclone --config" in str(caught.value)
    assert "hunter2" not in str(caught.value)
