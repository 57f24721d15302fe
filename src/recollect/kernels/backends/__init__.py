"""The sparse products, computed in different ways; `kernels.block` has the list."""
