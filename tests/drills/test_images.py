"""The drill of images: what they are made of, what is known against them, who signed them, and that a cluster refuses
those that nobody has signed.

Nothing is broken here. It is a drill because cosign, Kyverno, syft and grype take a machine that has to build them ten
minutes more.
"""

from tests.molecule import sequence


def test_contents_vulnerabilities_and_signatures() -> None:
    sequence.run("images")
