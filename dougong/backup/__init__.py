"""Backups of the control plane, and the way back to one; roles/backup makes and opens them."""
