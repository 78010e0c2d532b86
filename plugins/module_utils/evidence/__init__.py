"""What the module host_evidence reads on a host, one concern a file; standard library only, for hosts have no more."""
