"""Upgrades: a plan from what is installed, then one minor version of Kubernetes after another."""

from dougong.upgrade.installed import Installed
from dougong.upgrade.plan import Plan, make

__all__ = ["Installed", "Plan", "make"]
