"""Signatures of images: cosign, with a key pair of the installation's own.

The private key is made at first use and never leaves this machine; it is encrypted with a password that is in the
credentials (dougong.credentials). Signatures are Sigstore bundles, which the registry keeps beside the image. No
transparency log is told of them and none is asked, so it works without the internet; whoever has the private key can
therefore sign without anybody noticing.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dougong import credentials
from dougong.errors import DougongError
from dougong.images.reach import Registry

CREDENTIAL = "images/cosign"
"""Name of the private key's password among the credentials."""


@dataclass(frozen=True)
class Signer:
    """Who signs.

    Attributes:
        cosign: the program.
        state: the environment's state folder.
    """

    cosign: Path
    state: Path

    @property
    def private_key(self) -> Path:
        """Encrypted; 0600."""
        return self.state / "signing" / "cosign.key"

    @property
    def public_key(self) -> Path:
        """What signatures are verified with."""
        return self.state / "signing" / "cosign.pub"

    def ensure_keys(self) -> bool:
        """Make the key pair unless there is one.

        Returns:
            Whether it was made now.

        Raises:
            DougongError: cosign's words.
        """
        if self.private_key.exists():
            return False
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=self.state, prefix=".signing.") as folder:
            made = Path(folder) / "signing"
            made.mkdir(mode=0o700)
            self._run(self._with_password(os.environ), "generate-key-pair", f"--output-key-prefix={made / 'cosign'}")
            try:
                made.rename(self.private_key.parent)
            except OSError:
                # Another run was faster; a folder that is not empty is not replaced.
                if not self.private_key.exists():
                    raise
                return False
        return True

    def sign(self, registry: Registry, references: list[str]) -> None:
        """Sign images.

        Args:
            registry: where they are.
            references: with digests (Registry.digest).

        Raises:
            DougongError: cosign's words.
        """
        self.ensure_keys()
        if references:
            # --use-signing-config would ask the public Sigstore instance where its log is.
            offline = ["--use-signing-config=false", "--tlog-upload=false", "--yes"]
            variables = self._with_password(registry.variables())
            self._run(variables, "sign", *offline, f"--key={self.private_key}", *references)

    def unsigned(self, registry: Registry, references: list[str]) -> dict[str, str]:
        """Images without a signature of this key.

        Args:
            registry: where they are.
            references: with digests (Registry.digest).

        Returns:
            Reference → cosign's reason.
        """
        if not self.public_key.exists():
            return dict.fromkeys(references, "there is no key yet")
        if not references or not self._refusal(registry, references):
            return {}
        reasons = {reference: self._refusal(registry, [reference]) for reference in references}
        return {reference: reason for reference, reason in reasons.items() if reason}

    def _refusal(self, registry: Registry, references: list[str]) -> str:
        """Why not all of them are signed; "" if they are."""
        words = ["verify", "--insecure-ignore-tlog=true", f"--key={self.public_key}", *references]
        asked = subprocess.run(
            [self.cosign, *words], env=registry.variables(), capture_output=True, text=True, check=False
        )
        return _reason(asked.stderr) if asked.returncode else ""

    def _with_password(self, variables: dict[str, str] | os._Environ[str]) -> dict[str, str]:
        return {**variables, "COSIGN_PASSWORD": credentials.get(self.state, CREDENTIAL)}

    def _run(self, variables: dict[str, str], *words: str) -> None:
        done = subprocess.run([self.cosign, *words], env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DougongError(f"cosign {words[0]}: {_reason(done.stderr)}", "see cosign's message above")


def _reason(said: str) -> str:
    """The line with cosign's error; what precedes it are remarks, and `main.go:…` repeats it with a date."""
    lines = [line for line in said.strip().splitlines() if line] or ["no reason given"]
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return errors[0] if errors else lines[-1]
