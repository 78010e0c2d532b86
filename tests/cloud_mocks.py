"""An OpenStack that exists in memory only: it answers a Pulumi program and remembers what was declared."""

import runpy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks

IMAGE = "image-id"


@dataclass
class Declared:
    """One resource as a program has declared it: its properties, and the request with its options."""

    type: str
    name: str
    inputs: dict[str, Any]
    request: Any = None

    @property
    def urn(self) -> str:
        return f"{self.type}::{self.name}"

    @property
    def dependencies(self) -> set[str]:
        """Type and name, as in `urn`, of what must exist before."""
        return {"::".join([urn.split("::")[2].split("$")[-1], urn.split("::")[3]]) for urn in self.request.dependencies}


@dataclass
class Cloud(Mocks):
    """Every resource gets the identifier <name>-id; what OpenStack would compute is made up."""

    network_outputs: dict[str, Any] = field(default_factory=dict)
    resources: list[Declared] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    roles: tuple[str, ...] = ("load-balancer_member", "manager", "member", "reader")
    _ports: int = 0

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.resources.append(Declared(args.typ, args.name, args.inputs))
        return f"{args.name}-id", {**args.inputs, **self._computed(args)}

    def _computed(self, args: MockResourceArgs) -> dict[str, Any]:
        if args.typ == "openstack:networking/port:Port":
            self._ports += 1
        computed: dict[str, dict[str, Any]] = {
            "pulumi:pulumi:StackReference": {"outputs": self.network_outputs},
            "openstack:networking/network:Network": {"mtu": args.inputs.get("mtu", 1442)},
            "openstack:networking/port:Port": {"allFixedIps": [f"10.1.{self._ports // 250}.{self._ports % 250 + 2}"]},
            "openstack:networking/floatingIp:FloatingIp": {"address": f"public-{args.name}"},
            "openstack:compute/instance:Instance": {"availabilityZone": args.inputs.get("availabilityZone", "nova")},
            "openstack:compute/volumeAttach:VolumeAttach": {"device": "/dev/vdb"},
            "openstack:identity/applicationCredential:ApplicationCredential": {"secret": f"secret-of-{args.name}"},
            "openstack:loadbalancer/loadBalancer:LoadBalancer": {
                "vipAddress": f"vip-{args.name}",
                "vipPortId": f"{args.name}-vip-port-id",
            },
        }
        return computed.get(args.typ, {})

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token.endswith("getAuthScope"):
            return {"roles": [{"roleName": name, "roleId": name} for name in self.roles]}, []
        return {"id": IMAGE if args.token.endswith("getImage") else f"{args.args['name']}-id"}, []

    def of_type(self, ending: str) -> dict[str, Declared]:
        """What was declared of a type, e.g. "Instance", by name."""
        return {known.name: known for known in self.resources if known.type.endswith(f":{ending}")}


class _Monitor(MockMonitor):
    """Keeps each request: Pulumi's mocks show the properties only, not the options."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._cloud = cloud

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]  # Pulumi does not type it
        for declared in reversed(self._cloud.resources):  # it is one of the last: others may have come meanwhile
            if (declared.type, declared.name) == (request.type, request.name):
                declared.request = request
                break
        return answer


def declare(program: Callable[[], Any], cloud: Cloud, *, environment: str = "test", preview: bool = False) -> Cloud:
    """Run a function that declares resources and wait for all of them."""
    set_mocks(cloud, project="dougong-test", stack=environment, preview=preview, monitor=_Monitor(cloud))
    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]  # Pulumi does not type it
    return cloud


def run_stack(folder: Path, cloud: Cloud, *, environment: str = "test", preview: bool = False) -> Cloud:
    """Run the program of a stack, with its exports."""

    def keep(found: dict[str, Any]) -> None:
        cloud.exports.update(found)

    def program() -> pulumi.Output[None]:
        exports: dict[str, Any] = {}
        with patch("pulumi.export", exports.__setitem__):
            runpy.run_path(str(folder / "__main__.py"))
        return pulumi.Output.all(**exports).apply(keep)

    return declare(program, cloud, environment=environment, preview=preview)
