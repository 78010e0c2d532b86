"""Cinder volumes of one host, attached one after another."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_openstack as openstack


@dataclass(frozen=True, kw_only=True)
class DataVolume:
    """One volume.

    Args:
        name: unique on the host.
        size: GiB.
        type: Cinder volume type; None for the cloud's default.
        mount: folder on the host; passed through to whoever formats and mounts it.
        filesystem: ext4 or xfs; passed through as well.
    """

    name: str
    size: int
    type: str | None
    mount: str
    filesystem: str


@dataclass(frozen=True, kw_only=True)
class DataVolumesArgs:
    """Volumes of one host.

    Args:
        instance_id: the host.
        volumes: in the order in which they are attached.
        protect: Pulumi refuses to delete or replace them until they are unprotected.
        retain: taking a volume out of the program forgets it and leaves it in the cloud.
    """

    instance_id: pulumi.Input[str]
    volumes: Sequence[DataVolume]
    protect: bool = True
    retain: bool = False


class DataVolumes(pulumi.ComponentResource):
    """Volumes that outlive neither their declaration nor, protected, a mistake.

    Outputs:
        attached: a list of {name, id, device, size, mount, filesystem}; `device` is what Nova reports, which a
            hypervisor may ignore, so look for the volume's `id` among the host's disks first.
    """

    attached: pulumi.Output[list[dict[str, object]]]

    def __init__(self, name: str, args: DataVolumesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dougong:storage:DataVolumes", name, None, opts)
        attached: list[pulumi.Output[dict[str, object]]] = []
        previous: list[pulumi.Resource] = []
        for volume in args.volumes:
            disk = openstack.blockstorage.Volume(
                f"{name}-{volume.name}",
                name=f"{name}-{volume.name}",
                size=volume.size,
                volume_type=volume.type,
                enable_online_resize=True,  # a larger size reaches the host without a detach
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect, retain_on_delete=args.retain),
            )
            attachment = openstack.compute.VolumeAttach(
                f"{name}-{volume.name}",
                instance_id=args.instance_id,
                volume_id=disk.id,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    # One after another: devices get their letters in the order of the declaration. A volume is in
                    # one place at a time, so an attachment goes before its successor comes.
                    depends_on=previous,
                    delete_before_replace=True,
                    custom_timeouts=pulumi.CustomTimeouts(create="20m", delete="20m"),
                ),
            )
            previous = [attachment]
            attached.append(
                pulumi.Output.all(
                    name=volume.name,
                    id=disk.id,
                    device=attachment.device,
                    size=volume.size,
                    mount=volume.mount,
                    filesystem=volume.filesystem,
                ).apply(dict)
            )
        self.attached = pulumi.Output.all(*attached).apply(list)
        self.register_outputs({"attached": self.attached})
