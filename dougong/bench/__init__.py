"""Measurements of an installation: `dougong bench`."""
