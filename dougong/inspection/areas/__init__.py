"""What is inspected, one area a file: `judge` gives the findings, `seen` says in a few words what was looked at."""
