"""Temporal mixers: how the frames of the past reach the present one.

Each is one function `forward(chunk, state) -> (y, state)`: of many frames in training, of one frame
in imagination, and the same numbers however a sequence is cut into chunks. States are float32
tensors of fixed size, zero at the beginning, one row for each world.

    window.py       attention over the last frames, and over a sink of first ones
    memory.py       what all memories share: norm, short convolution, gate
    gated_delta.py  Gated DeltaNet: forget, erase, write
    mamba2.py       Mamba-2: forget, write
    ttt_linear.py   test-time training of a linear map
    ttt_mlp.py      test-time training of a small network
"""
