#!/usr/bin/python
"""Ansible module: what exists in an OpenStack cloud, converged in one session."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

try:
    import openstack
except ImportError:
    openstack: Any = None  # type: ignore[no-redef]  # main() says so, in a form that Ansible can show

DOCUMENTATION = """
module: lab_resources
short_description: Identity, flavors, networks, images and quotas of a cloud
description:
  - Creates what is missing and corrects what differs; what is not named is left alone.
  - One session for all of it. A task of openstack.cloud per item takes 1.5 s each, and the lab has 70 items.
options:
  auth:
    description: Arguments of openstack.connect().
    type: dict
    required: true
  roles:
    description: Names of roles.
    type: list
    elements: str
    default: []
  projects:
    description: Names of projects of the default domain.
    type: list
    elements: str
    default: []
  users:
    description: Users with I(name), I(password) and I(grants), a list of I(project) and I(role). Without a password the
      user must exist.
    type: list
    elements: dict
    default: []
  services:
    description: The catalog; I(name), I(type) and I(url) of each service.
    type: list
    elements: dict
    default: []
  flavors:
    description: I(name), I(vcpus), I(ram) in MiB, I(disk) in GiB.
    type: list
    elements: dict
    default: []
  volume_types:
    description: I(name) and I(extra_specs).
    type: list
    elements: dict
    default: []
  networks:
    description: External networks with I(name), I(physical_network), I(cidr), I(gateway), I(begin) and I(end).
    type: list
    elements: dict
    default: []
  quotas:
    description: I(project) with I(compute), I(network) and I(volume), dictionaries in openstacksdk's names.
    type: list
    elements: dict
    default: []
  images:
    description: I(name), I(file), I(build) (what tells one build of the file from another), I(disk_format),
      I(container_format), I(properties), and I(boot) (images by the property that is to hold their id).
    type: list
    elements: dict
    default: []
"""
RETURN = """
changes:
  description: What was created or corrected.
  type: list
"""


class Cloud:
    """The cloud as it is, and the changes made to it."""

    def __init__(self, connection: Any, check_mode: bool) -> None:
        self.connection = connection
        self.check_mode = check_mode
        self.changes: list[str] = []

    def change(self, what: str, action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Record a change, and make it unless in check mode; None when it was not made."""
        self.changes.append(what)
        return None if self.check_mode else action(*arguments, **options)


def by_name(items: Any) -> dict[str, Any]:
    return {item.name: item for item in items}


def roles(cloud: Cloud, wanted: list[str]) -> None:
    identity = cloud.connection.identity
    present = by_name(identity.roles())
    for name in wanted:
        if name not in present:
            cloud.change(f"role {name}", identity.create_role, name=name)


def projects(cloud: Cloud, wanted: list[str]) -> None:
    identity = cloud.connection.identity
    present = by_name(identity.projects())
    for name in wanted:
        if name not in present:
            cloud.change(f"project {name}", identity.create_project, name=name, domain_id="default")


def users(cloud: Cloud, wanted: list[dict[str, Any]]) -> None:
    """Keystone does not tell passwords; a fingerprint in the description tells whether one has changed."""
    identity = cloud.connection.identity
    present, known_projects = by_name(identity.users()), by_name(identity.projects())
    known_roles = by_name(identity.roles())
    granted = {
        (grant.user["id"], grant.scope["project"]["id"], grant.role["id"])
        for grant in identity.role_assignments()
        if grant.user and "project" in (grant.scope or {})
    }
    for item in wanted:
        name, user = item["name"], present.get(item["name"])
        if item.get("password"):
            mark = f"password {hashlib.sha256(item['password'].encode()).hexdigest()[:12]}"
            secret = {"password": item["password"], "description": mark}
            if user is None:
                user = cloud.change(f"user {name}", identity.create_user, name=name, domain_id="default", **secret)
            elif user.description != mark:
                cloud.change(f"password of {name}", identity.update_user, user, **secret)
        for grant in item.get("grants", []):
            project, role = known_projects.get(grant["project"]), known_roles.get(grant["role"])
            if not (user and project and role) or (user.id, project.id, role.id) not in granted:
                what = f"role {grant['role']} of {name} in {grant['project']}"
                cloud.change(what, identity.assign_project_role_to_user, project, user, role)


def services(cloud: Cloud, wanted: list[dict[str, Any]]) -> None:
    identity = cloud.connection.identity
    present = {service.type: service for service in identity.services()}
    endpoints = {(endpoint.service_id, endpoint.interface): endpoint for endpoint in identity.endpoints()}
    region = cloud.connection.config.region_name
    for item in wanted:
        name, url = item["name"], item["url"]
        service = present.get(item["type"])
        service = service or cloud.change(f"service {name}", identity.create_service, name=name, type=item["type"])
        for interface in ("public", "internal", "admin"):
            what = f"{interface} endpoint of {name}"
            identifier = service.id if service else None
            endpoint = endpoints.get((identifier, interface))
            if endpoint is None:
                place = {"service_id": identifier, "interface": interface, "region_id": region}
                cloud.change(what, identity.create_endpoint, url=url, **place)
            elif endpoint.url != url:
                cloud.change(what, identity.update_endpoint, endpoint, url=url)


def flavors(cloud: Cloud, wanted: list[dict[str, Any]]) -> None:
    """A flavor cannot be changed: one that differs is made anew; servers keep what they were started with."""
    compute = cloud.connection.compute
    present = by_name(compute.flavors())
    for item in wanted:
        flavor = present.get(item["name"])
        if flavor and all(getattr(flavor, key) == value for key, value in item.items()):
            continue
        if flavor:
            cloud.change(f"old flavor {item['name']}", compute.delete_flavor, flavor)
        cloud.change(f"flavor {item['name']}", compute.create_flavor, **item)


def volume_types(cloud: Cloud, wanted: list[dict[str, Any]]) -> None:
    storage = cloud.connection.block_storage
    present = by_name(storage.types())
    for item in wanted:
        what, found = f"volume type {item['name']}", present.get(item["name"])
        if found is None:
            cloud.change(what, storage.create_type, **item)
        elif not item["extra_specs"].items() <= found.extra_specs.items():
            cloud.change(what, storage.update_type_extra_specs, found, **item["extra_specs"])


def networks(cloud: Cloud, wanted: list[dict[str, Any]]) -> None:
    network = cloud.connection.network
    present, subnets = by_name(network.networks()), by_name(network.subnets())
    for item in wanted:
        name, found = item["name"], present.get(item["name"])
        found = found or cloud.change(
            f"network {name}",
            network.create_network,
            name=name,
            is_router_external=True,
            provider_network_type="flat",
            provider_physical_network=item["physical_network"],
        )
        if name not in subnets:
            cloud.change(
                f"subnet {name}",
                network.create_subnet,
                name=name,
                network_id=found.id if found else None,
                ip_version=4,
                cidr=item["cidr"],
                gateway_ip=item["gateway"],
                is_dhcp_enabled=False,
                allocation_pools=[{"start": item["begin"], "end": item["end"]}],
            )


def quotas(cloud: Cloud, wanted: list[dict[str, Any]]) -> None:
    connection = cloud.connection
    known = by_name(connection.identity.projects())
    apis = {
        "compute": (connection.compute.get_quota_set, connection.compute.update_quota_set),
        "network": (connection.network.get_quota, connection.network.update_quota),
        "volume": (connection.block_storage.get_quota_set, connection.block_storage.update_quota_set),
    }
    for item in wanted:
        project = known.get(item["project"])
        identifier = project.id if project else None
        for api, (read, update) in apis.items():
            present = read(identifier) if identifier else {}
            different = {key: value for key, value in item.get(api, {}).items() if present.get(key) != value}
            if different:
                what = f"{api} quota of {item['project']}: {' '.join(sorted(different))}"
                cloud.change(what, update, identifier, **different)


def images(cloud: Cloud, wanted: list[dict[str, Any]]) -> None:
    """An image cannot be changed: a new build is uploaded, then takes over the name. Servers keep the old one."""
    store = cloud.connection.image
    present = {image.name: image for image in store.images() if image.status == "active"}
    for item in wanted:
        name, old = item["name"], present.get(item["name"])
        if old and old.properties.get("dougong_build") == item["build"]:
            continue
        boot = {key: present[image].id for key, image in item.get("boot", {}).items() if image in present}
        uploaded = cloud.change(f"image {name}", upload, store, item, boot)
        if uploaded:
            present[name] = uploaded
        if old:
            cloud.change(f"old image {name}", store.delete_image, old)


def upload(store: Any, item: dict[str, Any], boot: dict[str, str]) -> Any:
    with Path(item["file"]).open("rb") as data:
        return store.create_image(
            item["name"],
            data=data,
            disk_format=item["disk_format"],
            container_format=item["container_format"],
            visibility="public",
            allow_duplicates=True,
            validate_checksum=False,
            wait=True,
            timeout=600,
            dougong_build=item["build"],
            **item.get("properties", {}),
            **boot,
        )


# In this order: what follows needs what stands before.
KINDS: dict[str, Callable[[Cloud, Any], None]] = {
    "roles": roles,
    "projects": projects,
    "users": users,
    "services": services,
    "flavors": flavors,
    "volume_types": volume_types,
    "networks": networks,
    "quotas": quotas,
    "images": images,
}


def main() -> None:
    named = {"type": "list", "elements": "dict", "default": []}
    module = AnsibleModule(
        argument_spec={
            "auth": {"type": "dict", "required": True, "no_log": True},
            **{kind: {**named, "elements": "str" if kind in ("roles", "projects") else "dict"} for kind in KINDS},
        },
        supports_check_mode=True,
    )
    if openstack is None:
        module.fail_json(msg="openstacksdk is missing: run this with the Python of the project's virtual environment")
    # Neither OS_CLOUD nor a clouds.yaml may lead elsewhere.
    with openstack.connect(load_envvars=False, load_yaml_config=False, **module.params["auth"]) as connection:
        cloud = Cloud(connection, module.check_mode)
        for kind, converge in KINDS.items():
            if module.params[kind]:
                try:
                    converge(cloud, module.params[kind])
                except openstack.exceptions.SDKException as error:
                    done = ", ".join(cloud.changes) or "none"
                    module.fail_json(msg=f"{kind}: {error}", changes=f"changes up to here: {done}")
    lines = "".join(f"{change}\n" for change in cloud.changes)
    module.exit_json(changed=bool(cloud.changes), changes=cloud.changes, diff={"before": "", "after": lines})


if __name__ == "__main__":
    main()
