"""Dougong: from an empty OpenStack project to a complete enterprise PaaS."""

from importlib.metadata import version

__version__ = version("dougong")
