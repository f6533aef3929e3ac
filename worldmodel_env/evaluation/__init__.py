"""How good imagination is: image metrics, quality by horizon, plots, strips and videos."""
