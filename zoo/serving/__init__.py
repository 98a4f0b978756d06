"""Export for use without this code."""
