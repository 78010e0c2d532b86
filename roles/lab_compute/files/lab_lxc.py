"""Nova's libvirt driver for servers that are libvirt-lxc containers (a module of nova.virt by nova's own rule)."""

from __future__ import annotations

import os
import time
from typing import Any

import libvirt
import libvirt_lxc
from nova.compute import power_state
from nova.virt.libvirt import blockinfo, driver
from nova.virt.libvirt import config as libvirt_config
from oslo_concurrency import processutils

# Its first process is known a second after a server's start on idle cores.
_STARTED_SECONDS = 30
_STARTS = 3

_prefix_of_other_buses = blockinfo.get_dev_prefix_for_disk_bus


def _device_prefix(disk_bus: str) -> str | None:
    """Nova knows no device names for the bus "lxc", and attaching a volume fails without one."""
    return "vd" if disk_bus == "lxc" else _prefix_of_other_buses(disk_bus)


blockinfo.get_dev_prefix_for_disk_bus = _device_prefix


class AllCapabilities(libvirt_config.LibvirtConfigGuestFeature):
    """Keeps what libvirt drops by default: containerd in a server needs CAP_MKNOD to unpack images."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("capabilities", **kwargs)

    def format_dom(self) -> Any:
        element = super().format_dom()
        element.set("policy", "allow")
        return element


def _first_process_is_known(guest: Any) -> bool:
    for _ in range(_STARTED_SECONDS):
        try:
            namespaces = libvirt_lxc.lxcOpenNamespace(guest._domain, 0)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
                raise
            time.sleep(1)
        else:
            for namespace in namespaces:
                os.close(namespace)
            return True
    return False


class LibvirtDriver(driver.LibvirtDriver):
    """The stock driver, with servers that may do what containers in them need."""

    def _get_guest_config(self, *args: Any, **kwargs: Any) -> Any:
        guest = super()._get_guest_config(*args, **kwargs)
        guest.features.append(AllCapabilities())
        return guest

    def _create_guest(self, *args: Any, **kwargs: Any) -> Any:
        """Start it until libvirt knows its first process, without which no volume can be attached.

        Libvirt is told of it once. On a busy machine that may be before it listens, and then it never knows.
        """
        guest = super()._create_guest(*args, **kwargs)
        for _ in range(_STARTS - 1):
            if not guest.is_active() or _first_process_is_known(guest):
                break
            guest.poweroff()
            guest.launch()
        return guest

    def attach_volume(self, context: Any, connection_info: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        super().attach_volume(context, connection_info, instance, *args, **kwargs)
        self._settle_devices(instance)

    def detach_volume(self, context: Any, connection_info: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        super().detach_volume(context, connection_info, instance, *args, **kwargs)
        self._settle_devices(instance)

    def _settle_devices(self, instance: Any) -> None:
        """Do what udev and a hypervisor do in a machine; for a server that starts libvirt's hook does it."""
        # Of libvirt: what nova has written down of a server that lost its power is minutes old.
        if self.get_info(instance).state == power_state.RUNNING:
            processutils.execute(
                "sudo", "nova-rootwrap", "/etc/nova/rootwrap.conf", "lab-server-devices", instance.name
            )
