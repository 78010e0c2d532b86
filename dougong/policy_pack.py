"""Starts a Python policy pack for Pulumi.

Pulumi asks the language host to run a pack. A host older than the CLI, as the one that is built from Go modules, starts
it wrongly, so the pack names a runtime of its own, "dougong", for which Pulumi calls this instead: it looks for a
program called pulumi-analyzer-policy-<runtime> on PATH.
"""

import os
import sys


def main() -> None:
    """Become Pulumi's own launcher of Python packs; its arguments are the engine's address and the pack's folder."""
    # Unbuffered (-u): the pack tells its port on standard output and does not flush it.
    os.execv(sys.executable, [sys.executable, "-u", "-m", "pulumi.policy", *sys.argv[1:]])
