"""The policy pack: `pulumi up --policy-pack ../../policy`. The rules are in dougong/guards.py."""

import signal
from collections.abc import Callable
from functools import cache

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from dougong import environment
from dougong.guards import GUARDS, Declared, Guard


@cache
def in_embedded_cloud(stack: str) -> bool:
    """Whether a stack, which is called like its environment, belongs to the embedded cloud."""
    return stack in environment.names() and environment.platform(stack).cloud.embedded


def applies(guard: Guard, urn: str) -> bool:
    """Whether a rule holds for a resource: see Guard.embedded."""
    stack = urn.removeprefix("urn:pulumi:").partition("::")[0]
    return guard.embedded or not in_embedded_cloud(stack)


def one_by_one(guard: Guard) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type == guard.type and applies(guard, args.urn):
            for message in guard.check(Declared(args.resource_type, args.name, args.props, args.opts.protect)):
                report(message, None)

    return validate


def all_at_once(guard: Guard) -> Callable[[StackValidationArgs, ReportViolation], None]:
    def declared(resource: PolicyResource) -> Declared:
        sources = {key: [source.name for source in found] for key, found in resource.property_dependencies.items()}
        return Declared(resource.resource_type, resource.name, resource.props, resource.opts.protect, sources)

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [resource for resource in args.resources if applies(guard, resource.urn)]
        for message in guard.check([declared(resource) for resource in resources]):
            report(message, None)

    return validate


def policy(guard: Guard) -> ResourceValidationPolicy | StackValidationPolicy:
    level = EnforcementLevel.MANDATORY if guard.mandatory else EnforcementLevel.ADVISORY
    if guard.type:
        return ResourceValidationPolicy(guard.name, guard.reason, one_by_one(guard), level)
    return StackValidationPolicy(guard.name, guard.reason, all_at_once(guard), level)


# Pulumi ends the pack by SIGINT. Python would act on it in its main thread, which sleeps and is not woken when the
# signal reaches another one; Pulumi would then wait 5 s and kill it.
signal.signal(signal.SIGINT, signal.SIG_DFL)
PolicyPack("dougong", [policy(guard) for guard in GUARDS])
