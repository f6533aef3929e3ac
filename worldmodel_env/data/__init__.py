"""Trajectories on disk: the format, its reader and writer, samplers, validation, packing.

Needs h5py and hdf5plugin, never torch. See docs/trajectory-format.md.
"""
