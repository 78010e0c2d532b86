"""Errors of OpenStack and Pulumi in words that say what to do."""

import re
from collections.abc import Mapping, Sequence

from dougong.errors import DougongError
from dougong.stacks.urn import kind_of, name_of

# What to do, by what the error says; the first that matches. {cloud} is the entry in clouds.yaml.
_REMEDIES: list[tuple[str, str]] = [
    (
        r"No valid host was found",
        "no hypervisor has room for this flavor, or anti_affinity: required cannot be met; take a smaller flavor or "
        "fewer hosts, or see `openstack --os-cloud {cloud} hypervisor stats show` (operators only)",
    ),
    (r"not mapped to any cell", "the hypervisor has only just come up; wait a minute and start the same command again"),
    (
        r"[Qq]uota|OverLimit|LimitExceeded",
        "the project may not have more of this; ask the operator to raise the quota "
        "(`openstack --os-cloud {cloud} quota show`) or ask for less in platform.yml",
    ),
    (
        r"(?i)IpAddressGenerationFailure|No more IP addresses|ExternalIpAddressExhausted",
        "the network is out of addresses; release unused ones (`openstack --os-cloud {cloud} floating ip list`)",
    ),
    (
        r"^(LoadBalancer|Listener|Pool|Members|Monitor) (?s:.*)'ERROR'",
        "Octavia could not build it; `openstack --os-cloud {cloud} loadbalancer status show NAME` says which part. "
        "An amphora is repaired by `openstack loadbalancer failover NAME`, otherwise delete it with "
        "`openstack loadbalancer delete --cascade NAME` and start the same command again",
    ),
    (
        r"(?i)immutable state|PENDING_(CREATE|UPDATE|DELETE)",
        "Octavia is still busy with this load balancer; start the same command again when it is ACTIVE",
    ),
    (
        r"(?i)could not find.*image|no image|query returned no results.*image",
        "cloud.image in platform.yml names no image of this cloud: `openstack --os-cloud {cloud} image list`",
    ),
    (
        r"(?i)flavor.*(not found|could not be found)|(not find|no) .*flavor",
        "a pool's flavor is none of this cloud: `openstack --os-cloud {cloud} flavor list`",
    ),
    (
        r"(?i)query returned no results",
        "a name in platform.yml stands for nothing in this cloud; check cloud.image and cloud.external_network",
    ),
    (
        r"^Volume (?s:.*)'error'",
        "Cinder could not make it: `openstack --os-cloud {cloud} volume show NAME` and the operator's log say why; "
        "then delete it and start the same command again, which makes a new one",
    ),
    (
        r"^Instance (?s:.*)'ERROR'",
        "Nova could not start it: `openstack --os-cloud {cloud} server show NAME` (fault) says why; then delete it and "
        "start the same command again, which makes a new one",
    ),
    (
        r"vm_state building|task_state|still in use",
        "the cloud is still at work on it; start the same command again in a minute",
    ),
    (
        r"clouds\.ya?ml",
        "clouds.yaml has no entry {cloud!r}: `dougong lab up` writes the embedded cloud's; for another one ask its "
        "operator, or download it from the dashboard into ~/.config/openstack/clouds.yaml",
    ),
    (
        r"(?i)\b40[13]\b|Unauthorized|Forbidden|Authentication failed",
        "the credentials of {cloud!r} in clouds.yaml are refused here; try `openstack --os-cloud {cloud} token issue`",
    ),
    (
        r"(?i)\b409\b|already exists|Conflict",
        "something of that name or address is there and not ours, or still in use; remove or rename it, or take it "
        "over with `pulumi import`",
    ),
    (
        r"(?i)connection refused|no such host|i/o timeout|\bEOF\b|\b50[0234]\b|no suitable endpoint",
        "the cloud does not answer as it should; see that it is healthy (`dougong lab status` for the embedded one) "
        "and start the same command again",
    ),
    (
        r"(?i)timeout while waiting|context deadline",
        "it took longer than the cloud should need; see what it waits for in the cloud's own tools, then start the "
        "same command again: it goes on from here",
    ),
    (
        r"incorrect passphrase",
        "the stack's settings belong to another passphrase; remove stacks/*/Pulumi.{environment}.yaml if that "
        "installation is gone, or bring its state folder back",
    ),
    (r"currently locked", "wait for the other run to end"),
    (r"protected", "it holds data; say so if that may go, too"),
    (
        r"no resource plugin|no language plugin|executable file not found",
        "`dougong artifacts fetch --tools` brings Pulumi and its plugins",
    ),
    (r"unknown stack.*dougong-network", "the network comes first: `dougong up`, or `pulumi up` in stacks/network"),
    (r"does not exist yet: run `pulumi", ""),
]


def remedy(text: str, cloud: str, environment: str) -> str:
    """What to do about an error.

    Args:
        text: what Pulumi or the cloud has said.
        cloud: entry in clouds.yaml.
        environment: folder below inventories/.
    """
    for pattern, advice in _REMEDIES:
        if re.search(pattern, text):
            return advice.format(cloud=cloud, environment=environment)
    return "start the same command again with --verbose; what is done so far stays"


def failure(
    what: str,
    complaints: Mapping[str, Sequence[str]],
    violations: Sequence[str],
    fallback: str,
    *,
    cloud: str,
    environment: str,
) -> DougongError:
    """An error of an operation, with what is known about it.

    Args:
        what: the command that failed.
        complaints: messages by URN; "" for those about no resource.
        violations: what the policy pack refuses.
        fallback: Pulumi's own output, for when there is nothing else.
        cloud: entry in clouds.yaml.
        environment: folder below inventories/.
    """
    if violations:
        return DougongError(
            f"{what} is refused by the policy pack\n" + "\n".join(f"  {line}" for line in violations),
            "change platform.yml; policy/README.md gives the reason of each rule",
        )
    lines = [
        f"{kind_of(urn)} {name_of(urn)}: {_essence(text)}" if urn else _essence(text)
        for urn, texts in complaints.items()
        for text in texts
        # The engine's own closing words, about what has been said already.
        if not re.search(r"update failed|preview failed|resource .*did not complete", text)
    ] or [_essence(fallback)]
    lines = list(dict.fromkeys(lines))
    advices = dict.fromkeys(remedy(line, cloud, environment) for line in lines)
    return DougongError(
        f"{what} failed\n" + "\n".join(f"  {line}" for line in lines), "\n    ".join(filter(None, advices))
    )


def _essence(text: str) -> str:
    """An error without the layers around it: of a Python traceback the last line, of nested Go errors all on one."""
    if "Traceback (most recent call last)" in text:
        text = text.rstrip().splitlines()[-1].partition(": ")[2] or text.rstrip().splitlines()[-1]
    text = re.sub(r"^sdk-v2/\S+ sdk\.helper_schema: ", "", text)  # where the provider has logged it
    text = re.sub(r": provider=openstack@\S+$", "", text.strip())
    text = re.sub(r"\d+ errors? occurred:\s*\*?\s*", "", text)
    return " ".join(text.split())
