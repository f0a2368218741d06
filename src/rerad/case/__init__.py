"""A case on disk: case.toml, importing a folder, running it."""
