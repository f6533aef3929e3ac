"""Any Gymnasium environment with pictures, as a simulator."""
