"""What each operation computes, in plain NumPy."""
