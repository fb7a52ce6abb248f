"""Engines: one adapter over TensorRT 10, TensorRT 11 and TensorRT-RTX, and what is built and read through it."""
