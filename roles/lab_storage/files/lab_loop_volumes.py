"""Cinder driver of the lab: a volume is a sparse file, handed to nova on the same machine as a loop device.

A server of libvirt-lxc can be given block devices only, and a kernel without device-mapper, iSCSI, NBD and NFS has no
other way to make one. Single node: there is no transport. The devices themselves are made by lab-loop.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cinder import interface
from cinder.image import image_utils
from cinder.volume import driver
from oslo_config import cfg

GIB = 1 << 30

OPTIONS = [
    cfg.StrOpt("loop_directory", default="/var/lib/cinder/loop", help="Where the files of volumes and snapshots are.")
]
cfg.CONF.register_opts(OPTIONS)


@interface.volumedriver
class LoopDriver(driver.VolumeDriver):
    """Volumes as files; snapshots and clones as sparse copies (reflinks where the file system can)."""

    VERSION = "1.0"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)

    def check_for_setup_error(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)

    @property
    def _directory(self) -> Path:
        return Path(self.configuration.loop_directory)

    def _file(self, item: Any) -> Path:
        return self._directory / item.name

    def _device(self, action: str, volume: Any) -> str:
        out, _ = self._execute("lab-loop", action, str(self._file(volume)), run_as_root=True)
        return str(out).strip()

    def _copy(self, source: Path, target: Path) -> None:
        self._execute("cp", "--sparse=always", "--reflink=auto", str(source), str(target))

    def create_volume(self, volume: Any) -> None:
        with self._file(volume).open("xb") as file:
            file.truncate(volume.size * GIB)

    def delete_volume(self, volume: Any) -> None:
        if self._file(volume).exists():
            self._device("detach", volume)
            self._file(volume).unlink()

    def extend_volume(self, volume: Any, new_size: int) -> None:
        os.truncate(self._file(volume), new_size * GIB)
        self._device("resize", volume)

    def create_snapshot(self, snapshot: Any) -> None:
        self._copy(self._directory / snapshot.volume_name, self._file(snapshot))

    def delete_snapshot(self, snapshot: Any) -> None:
        self._file(snapshot).unlink(missing_ok=True)

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> None:
        self._copy(self._file(snapshot), self._file(volume))
        os.truncate(self._file(volume), volume.size * GIB)

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> None:
        self._copy(self._file(src_vref), self._file(volume))
        os.truncate(self._file(volume), volume.size * GIB)

    def copy_image_to_volume(
        self, context: Any, volume: Any, image_service: Any, image_id: str, disable_sparse: bool = False
    ) -> None:
        block_size = self.configuration.volume_dd_blocksize
        image_utils.fetch_to_raw(
            context, image_service, image_id, str(self._file(volume)), block_size, size=volume.size
        )
        os.truncate(self._file(volume), volume.size * GIB)

    def copy_volume_to_image(self, context: Any, volume: Any, image_service: Any, image_meta: Any) -> None:
        image_utils.upload_volume(context, image_service, image_meta, str(self._file(volume)), volume)

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        """There is no transport to export by."""

    def ensure_export(self, context: Any, volume: Any) -> None:
        """lab-loop.service has attached the volumes before cinder starts."""

    def remove_export(self, context: Any, volume: Any) -> None:
        """The device goes with the connection."""

    def initialize_connection(self, volume: Any, connector: Any) -> dict[str, Any]:
        return {
            "driver_volume_type": "local",
            "data": {"device_path": self._device("attach", volume), "volume_id": volume.id},
        }

    def terminate_connection(self, volume: Any, connector: Any, **kwargs: Any) -> None:
        self._device("detach", volume)

    def _update_volume_stats(self) -> None:
        status = os.statvfs(self._directory)
        self._stats = {
            "volume_backend_name": self.configuration.volume_backend_name,
            "vendor_name": "Dougong",
            "driver_version": self.VERSION,
            "storage_protocol": "local",
            "total_capacity_gb": status.f_blocks * status.f_frsize / GIB,
            "free_capacity_gb": status.f_bavail * status.f_frsize / GIB,
            "reserved_percentage": 0,
            "multiattach": False,
            "thin_provisioning_support": True,
            "max_over_subscription_ratio": 20,
        }
