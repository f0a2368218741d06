"""Loops compiled by numba: arrays and numbers only; callers validate, kernels trust."""
