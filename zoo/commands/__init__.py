"""The commands: flags, and what each is wired to."""
