"""The entry points; the only files with @hydra.main."""
