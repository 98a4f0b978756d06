"""Pictures of what models draw, and how they are saved."""
