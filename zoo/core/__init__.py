"""The ground that all else stands on: settings, files, checks of input, the process itself."""
