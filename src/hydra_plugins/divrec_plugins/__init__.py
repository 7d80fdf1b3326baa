"""Hydra plugins of divrec: sweepers and launchers."""
