"""The certificates of a cluster: what there is, what is about to end, and the rotation of its authorities."""
