"""What each run of `dougong` did: recorded while it happens, shown while it happens, read back afterwards.

A run is made of phases (network, cluster, hosts, …), a phase of steps (an Ansible task, a Pulumi resource). The
record on disk is the truth; the display in the terminal is one view of it, `dougong runs` another.
"""

from dougong.runs.record import Phase, Run, Step, find, history
from dougong.runs.recorder import Recorder, current, silent, start

__all__ = ["Phase", "Recorder", "Run", "Step", "current", "find", "history", "silent", "start"]
