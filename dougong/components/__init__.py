"""What an installation is made of in the cloud: one ComponentResource per concept."""
