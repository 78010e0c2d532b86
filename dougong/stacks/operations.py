"""Preview, up, destroy, refresh and outputs of one stack."""

import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi import automation

from dougong import cloud, environment, paths, runs
from dougong.errors import DougongError
from dougong.platform import Platform
from dougong.runs.supervised import supervised
from dougong.stacks import explain, locks, pending
from dougong.stacks.events import OnEvent, Translator
from dougong.stacks.summary import Changes
from dougong.stacks.urn import kind_of, name_of, type_of

ORDER = ("network", "cluster")
"""The stacks of an installation; each reads the outputs of those before it."""

POLICY_PACK = "../../policy"
"""As seen from a stack's folder."""


@dataclass(frozen=True)
class _Stack:
    """One stack of one environment, ready to work with."""

    environment: str
    name: str
    platform: Platform
    automation: automation.Stack

    @property
    def protected(self) -> list[str]:
        """URNs of what may not be deleted."""
        state = self.automation.export_stack().deployment or {}
        return [found["urn"] for found in state.get("resources") or [] if found.get("protect")]

    def server(self, name: str) -> str:
        """URN of a server.

        Raises:
            DougongError: the stack holds none of this name.
        """
        state = self.automation.export_stack().deployment or {}
        for found in state.get("resources") or []:
            if kind_of(found["urn"]) == "Instance" and name_of(found["urn"]) == name:
                return str(found["urn"])
        raise DougongError(f"stacks/{self.name} of {self.environment!r} holds no server {name!r}", "dougong up")

    def plain(self, command: str, *options: str) -> str:
        """What a person would type for the same."""
        return shlex.join(
            ["pulumi", "-C", f"stacks/{self.name}", *command.split(), "--stack", self.environment, *options]
        )


def _folder(stack: str) -> Path:
    if stack not in ORDER:
        raise DougongError(f"there is no stack {stack!r}", f"there are {', '.join(ORDER)}")
    return paths.ROOT / "stacks" / stack


def _open(name: str, stack: str) -> _Stack:
    """Select the stack, creating it, empty, if need be."""
    platform = environment.platform(name)
    folder = _folder(stack)
    variables = environment.variables(name, platform)
    executable = shutil.which("pulumi", path=variables["PATH"])
    if not executable:
        raise DougongError("pulumi is not there yet", "dougong artifacts fetch --tools")
    locks.remove_stale(name, f"dougong-{stack}")
    with _explained(f"pulumi -C stacks/{stack} stack select --create {name}", name, platform):
        selected = automation.create_or_select_stack(
            stack_name=name,
            work_dir=str(folder),
            opts=automation.LocalWorkspaceOptions(
                env_vars=variables,
                secrets_provider=platform.state.secrets_provider,
                pulumi_command=automation.PulumiCommand(root=str(Path(executable).parents[1])),
            ),
        )
    return _Stack(name, stack, platform, selected)


@contextmanager
def _explained(what: str, name: str, platform: Platform, translator: Translator | None = None) -> Iterator[None]:
    """Turns a failed command into an error that says what to do."""
    known = translator or Translator()
    try:
        yield
    except automation.errors.CommandError as error:
        raise explain.failure(
            what,
            known.complaints,
            known.violations,
            fallback=_words_of(error),
            cloud=platform.cloud.name,
            environment=name,
        ) from error


def _words_of(error: automation.errors.CommandError) -> str:
    """What the command itself has said: the Automation API puts everything it printed into one text."""
    _, _, said = str(error).partition("stderr: ")
    return said.strip() or str(error).strip().splitlines()[0]


def _run(
    stack: _Stack, what: str, on_event: OnEvent | None, operation: Callable[..., Mapping[Any, int] | None]
) -> Changes:
    """Run an operation, with its raw output in the log of the run and its plain command shown."""
    recorder = runs.current()
    recorder.command(what)
    translator = Translator(on_event)
    with _explained(what, stack.environment, stack.platform, translator):
        changes = supervised(
            lambda: operation(on_output=recorder.output, on_event=translator, color="never", suppress_progress=True),
            recorder,
        )
    return {getattr(op, "value", op): count for op, count in (changes or {}).items()}


def preview(name: str, stack: str, on_event: OnEvent | None = None) -> Changes:
    """What `up` would do, compared with what the cloud has at this moment; touches nothing.

    Args:
        name: the environment.
        stack: network or cluster.
        on_event: told of each resource.

    Raises:
        DougongError: the program, the cloud or the policy pack says no.
    """
    for earlier in ORDER[: ORDER.index(stack)]:
        _open(name, earlier)  # what stacks read of each other must exist, even if it is empty
    opened = _open(name, stack)

    def operation(**callbacks: Any) -> Mapping[Any, int]:
        callbacks.pop("suppress_progress")
        return opened.automation.preview(refresh=True, policy_packs=[POLICY_PACK], **callbacks).change_summary

    return _run(opened, opened.plain("preview", "--refresh", "--policy-pack", POLICY_PACK), on_event, operation)


def up(name: str, stack: str, on_event: OnEvent | None = None, *, replace: str | None = None) -> Changes:
    """Make the cloud what platform.yml says, whoever has changed it since; without a refresh Pulumi would compare with
    its own memory only. What a killed run has left half done is taken up first.

    Args:
        name: the environment.
        stack: network or cluster; cluster needs network.
        on_event: told of each resource.
        replace: name of a server that is made anew, with what hangs on it and nothing else; its volumes stay.

    Raises:
        DougongError: something refused; what is done so far stays and is recorded.
    """
    opened = _open(name, stack)
    _recover(opened, on_event)
    only: dict[str, Any] = {}
    words: list[str] = []
    if replace:
        urn = opened.server(replace)
        only = {"replace": [urn], "target": [urn], "target_dependents": True}
        words = ["--target-replace", urn, "--target-dependents"]

    def operation(**callbacks: Any) -> Mapping[Any, int] | None:
        done = opened.automation.up(refresh=True, policy_packs=[POLICY_PACK], **only, **callbacks)
        return done.summary.resource_changes

    return _run(opened, opened.plain("up", "--refresh", "--policy-pack", POLICY_PACK, *words), on_event, operation)


def refresh(name: str, stack: str, on_event: OnEvent | None = None) -> Changes:
    """Take into the state what has been changed in the cloud behind Pulumi's back.

    Args:
        name: the environment.
        stack: network or cluster.
        on_event: told of each resource.

    Raises:
        DougongError: the cloud does not answer.
    """
    return _refresh(_open(name, stack), on_event)


def _refresh(stack: _Stack, on_event: OnEvent | None) -> Changes:
    def operation(**callbacks: Any) -> Mapping[Any, int] | None:
        return stack.automation.refresh(**callbacks).summary.resource_changes

    return _run(stack, stack.plain("refresh"), on_event, operation)


def destroy(name: str, stack: str, on_event: OnEvent | None = None, *, destroy_data: bool = False) -> Changes:
    """Remove everything that a stack holds; cluster goes before network.

    Args:
        name: the environment.
        stack: network or cluster.
        on_event: told of each resource.
        destroy_data: data volumes go, too. They are protected unless the cloud is the embedded one.

    Raises:
        DougongError: there are protected volumes and destroy_data is not set, or something refused to go.
    """
    opened = _open(name, stack)
    _recover(opened, on_event)
    if protected := opened.protected:
        if not destroy_data:
            raise DougongError(
                f"stacks/{stack} of {name!r} holds protected data: {', '.join(map(name_of, protected))}",
                f"if it may go, too: dougong down --destroy-data, or {opened.plain('state unprotect --all')}",
            )
        runs.current().command(opened.plain("state unprotect --all"))
        _pulumi(opened, "state", "unprotect", "--all", "--yes")

    def operation(**callbacks: Any) -> Mapping[Any, int] | None:
        return opened.automation.destroy(**callbacks).summary.resource_changes

    return _run(opened, opened.plain("destroy"), on_event, operation)


def holds(name: str) -> bool:
    """Whether the stacks of an environment hold anything in its cloud.

    Args:
        name: the environment.
    """
    for stack in ORDER:
        state = _open(name, stack).automation.export_stack().deployment or {}
        if any(type_of(found["urn"]).startswith("openstack:") for found in state.get("resources") or []):
            return True
    return False


def outputs(name: str, stack: str) -> dict[str, Any]:
    """What a stack says of itself; empty before the first `up`.

    Args:
        name: the environment.
        stack: network or cluster.
    """
    opened = _open(name, stack)
    with _explained(opened.plain("stack output"), name, opened.platform):
        return {key: output.value for key, output in opened.automation.outputs().items()}


def forget(name: str) -> None:
    """Forget the stacks of an environment whose cloud is gone: nothing of what they describe can be asked any more.

    Args:
        name: the environment.
    """
    for stack in reversed(ORDER):
        opened = _open(name, stack)
        with _explained(opened.plain("stack rm", "--force"), name, opened.platform):
            opened.automation.workspace.remove_stack(name, force=True)


def _recover(stack: _Stack, on_event: OnEvent | None) -> None:
    """Settle what a killed run has begun: see dougong.stacks.pending."""
    exported = stack.automation.export_stack()
    state = dict(exported.deployment or {})
    if not state.get("pending_operations"):
        return
    connection = cloud.connect(stack.platform)
    found: dict[str, str] = {}
    for urn, kind, inputs in pending.creates(state):
        if pending.discard(connection, kind, inputs):
            runs.current().note(f"{kind_of(urn)} {name_of(urn)} of the killed run is removed: nobody has its secret")
            continue
        identifier = pending.find(connection, kind, inputs)
        if identifier:
            pending.wait(connection, kind, identifier)
            found[urn] = identifier
        runs.current().note(
            f"{kind_of(urn)} {name_of(urn)} was being made when the last run was killed: "
            + (f"it exists ({identifier}) and is taken over" if identifier else "it does not exist")
        )
    settled = automation.Deployment(exported.version, pending.settle(state, found))
    with _explained(stack.plain("stack import"), stack.environment, stack.platform):
        stack.automation.import_stack(settled)
    _refresh(stack, on_event)


def _pulumi(stack: _Stack, *arguments: str) -> None:
    """A command that the Automation API does not have."""
    workspace = stack.automation.workspace
    command = [*arguments, "--stack", stack.environment, "--non-interactive", "--color", "never"]
    recorder = runs.current()
    with _explained(shlex.join(["pulumi", *command]), stack.environment, stack.platform):
        supervised(
            lambda: workspace.pulumi_command.run(
                command, workspace.work_dir, dict(workspace.env_vars), recorder.output
            ),
            recorder,
        )
