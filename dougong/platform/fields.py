"""The kinds of values in a platform.yml, each with a check whose message says what to write instead."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dougong.platform import versions


def refuse(message: str, remedy: str) -> PydanticCustomError:
    """An error with a remedy, to be raised by validators."""
    # Braces would be taken for placeholders of the message template.
    return PydanticCustomError("dougong", "{message}", {"message": message, "remedy": remedy})


@dataclass(frozen=True)
class Text:
    """Marks text that must match a pattern; the JSON Schema carries the same pattern.

    Attributes:
        pattern: regular expression for the whole text.
        longest: most characters.
        message: what is wrong with text that does not match.
        remedy: what to write instead.
    """

    pattern: str
    longest: int
    message: str
    remedy: str

    def check(self, value: str) -> str:
        """Return the value, or raise an error with the remedy."""
        if len(value) > self.longest:
            raise refuse(f"longer than {self.longest} characters", self.remedy)
        if not re.fullmatch(self.pattern, value):
            raise refuse(self.message, self.remedy)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(core), "pattern": f"^(?:{self.pattern})$", "maxLength": self.longest}


def _network(value: Any) -> IPv4Network:
    if not isinstance(value, str) or "/" not in value:
        raise refuse("not an IPv4 network in CIDR notation", "Write address and prefix length, such as 10.1.0.0/24.")
    try:
        network = IPv4Network(value, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise refuse(
            f"not an IPv4 network: {error}", "Write address and prefix length, such as 10.1.0.0/24."
        ) from error
    if str(network.network_address) != value.partition("/")[0]:
        raise refuse("an address inside a network, not the network itself", f"Write {network}.")
    return network


def _address(value: Any) -> IPv4Address:
    try:
        return IPv4Address(value if isinstance(value, str) else "")
    except AddressValueError as error:
        raise refuse("not an IPv4 address", "Write four numbers from 0 to 255, such as 10.77.0.1.") from error


# A volume over one of these hides what the operating system has put there.
_SYSTEM_FOLDERS = frozenset(
    map(
        PurePosixPath,
        [
            "/",
            "/bin",
            "/boot",
            "/etc",
            "/home",
            "/lib",
            "/lib64",
            "/opt",
            "/root",
            "/sbin",
            "/srv",
            "/usr",
            "/var",
            "/var/lib",
            "/var/log",
        ],
    )
)
_VOLATILE_FOLDERS = tuple(map(PurePosixPath, ["/dev", "/proc", "/run", "/sys", "/tmp"]))  # noqa: S108 - none is used


def _mount_point(value: str) -> str:
    path = PurePosixPath(value)
    if not path.is_absolute() or str(path) != value or ".." in path.parts or not re.fullmatch(r"[\w./-]+", value):
        raise refuse(
            "not a plain absolute path",
            "Write a path such as /var/lib/etcd, without spaces, `..` or a slash at the end.",
        )
    if path in _SYSTEM_FOLDERS:
        raise refuse(
            "a folder of the operating system; a volume would hide its content",
            "Mount below it or elsewhere, such as /srv/data.",
        )
    if any(path.is_relative_to(folder) for folder in _VOLATILE_FOLDERS):
        raise refuse("in a file system that is made anew at each boot", "Mount elsewhere, such as /srv/data.")
    return value


def _kubernetes_version(value: Any) -> str:
    known = ", ".join(f"{minor}.x" for minor in versions.KUBERNETES)
    if not isinstance(value, str) or not re.fullmatch(r"\d+\.\d+\.\d+", value):  # 1.36 is a number in YAML
        raise refuse(
            "not a full Kubernetes version", f"Write major, minor and patch without `v`, such as {versions.DEFAULT}."
        )
    if value.rpartition(".")[0] not in versions.KUBERNETES:
        raise refuse("not a supported Kubernetes version", f"Supported: {known}.")
    return value


_LABEL_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_LABEL_PREFIX = r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?"

DnsLabel = Annotated[
    str,
    Text(
        r"[a-z]([a-z0-9-]*[a-z0-9])?",
        63,
        "not a DNS label (RFC 1123)",
        "Use at most 63 lower-case letters, digits and dashes; begin with a letter, end with a letter or digit.",
    ),
]
"""A name that becomes part of host names."""

DnsDomain = Annotated[
    str,
    Text(
        r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
        253,
        "not a DNS domain",
        "Write lower-case labels with dots between them, such as cluster.local.",
    ),
]

CloudName = Annotated[
    str, Text(r"\S(.*\S)?", 255, "not a name", "Write the name as OpenStack shows it, without spaces around it.")
]
"""What something is called in the cloud (image, flavor, network, …)."""

UserName = Annotated[
    str,
    Text(r"[a-z_][a-z0-9_-]*", 32, "not a Linux user name", "Write the user that the image creates, such as debian."),
]

LabelKey = Annotated[
    str,
    Text(
        _LABEL_PREFIX + _LABEL_NAME,
        317,
        "not a Kubernetes label key",
        "Use letters, digits, dots, dashes and underscores, with a DNS prefix and a slash before it if wanted.",
    ),
]
LabelValue = Annotated[
    str,
    Text(f"({_LABEL_NAME})?", 63, "not a Kubernetes label value", "Use letters, digits, dots, dashes and underscores."),
]
Taint = Annotated[
    str,
    Text(
        rf"{_LABEL_PREFIX}{_LABEL_NAME}(=({_LABEL_NAME})?)?:(NoSchedule|PreferNoSchedule|NoExecute)",
        400,
        "not a Kubernetes taint",
        "Write key=value:Effect, where Effect is NoSchedule, PreferNoSchedule or NoExecute.",
    ),
]

Subject = Annotated[
    str,
    Text(
        r"(?!system:|kubeadm:)\S+",
        253,
        "not the name of a user or group of a tenant",
        "Write a name without spaces; those that begin with system: or kubeadm: are Kubernetes' own.",
    ),
]
"""A user or group, as the API server knows it from a certificate or an identity provider."""

Backend = Annotated[
    str,
    Text(
        r"(file|s3|gs|azblob|https|postgres)://\S+",
        1000,
        "not the address of a Pulumi backend",
        "Write a URL such as s3://bucket or https://api.pulumi.com; leave it out for the state folder of this machine.",
    ),
]
SecretsProvider = Annotated[
    str,
    Text(
        r"passphrase|(awskms|azurekeyvault|gcpkms|hashivault)://\S+",
        1000,
        "not a Pulumi secrets provider",
        "Write passphrase, or the URL of a key such as hashivault://dougong.",
    ),
]

_WEEKDAY = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MOMENT = r"[\d*,/.]+"
OnCalendar = Annotated[
    str,
    Text(
        rf"hourly|daily|weekly|monthly|({_WEEKDAY}((,|\.\.){_WEEKDAY})* )?({_MOMENT}(-{_MOMENT}){{1,2}} )?"
        rf"{_MOMENT}(:{_MOMENT}){{1,2}}( [A-Z][A-Za-z_/]+)?",
        100,
        "not a time as systemd writes it",
        "Write daily, or a time such as 02:30 or Mon..Fri *-*-* 01:00:00 (man 7 systemd.time, Calendar Events).",
    ),
]
AgeRecipient = Annotated[
    str,
    Text(
        r"age1[ac-hj-np-z02-9]{58}",
        62,
        "not a public key of age",
        "Write the line that `age-keygen -y FILE` prints; it begins with age1.",
    ),
]
RcloneOption = Annotated[
    str, Text(r"[a-z][a-z0-9_]*", 64, "not an option of rclone", "Write its name as in rclone.conf, such as endpoint.")
]

EmailAddress = Annotated[
    str,
    Text(r"[^@\s]+@[^@\s]+", 254, "not an e-mail address", "Write name@example.com, without a name before it."),
]
WebAddress = Annotated[
    str, Text(r"https?://\S+", 2000, "not a web address", "Write a URL that begins with https:// or http://.")
]
DatabaseSource = Annotated[
    str,
    Text(
        r"(https?:/)?/\S+",
        2000,
        "neither an absolute path nor a web address",
        "Write the path of an archive such as /srv/vulnerability-db.tar.zst, or a URL that begins with https://.",
    ),
]

Network4 = Annotated[
    IPv4Network, BeforeValidator(_network), WithJsonSchema({"type": "string", "pattern": r"^[0-9.]+/[0-9]{1,2}$"})
]
Address4 = Annotated[IPv4Address, BeforeValidator(_address), WithJsonSchema({"type": "string", "format": "ipv4"})]
MountPoint = Annotated[str, AfterValidator(_mount_point), Field(json_schema_extra={"pattern": "^/[^ ]+$"})]
KubernetesVersion = Annotated[
    str,
    BeforeValidator(_kubernetes_version),
    Field(json_schema_extra={"pattern": rf"^({'|'.join(map(re.escape, versions.KUBERNETES))})\.\d+$"}),
]

Port = Annotated[int, Field(ge=1, le=65535)]
NodePort = Annotated[int, Field(ge=30000, le=32767)]
"""The default --service-node-port-range of kube-apiserver."""

Mtu = Annotated[int, Field(ge=1280, le=9216)]
"""From IPv6's minimum (RFC 8200) to the usual jumbo frame of switches."""

Gibibytes = Annotated[int, Field(ge=1, le=65536)]
