"""What each operation computes, in plain NumPy; the tests compare the compiled loops with it."""
