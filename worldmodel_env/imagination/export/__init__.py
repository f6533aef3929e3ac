"""A world's functions as ONNX files: written, checked against the model, kept per user."""
