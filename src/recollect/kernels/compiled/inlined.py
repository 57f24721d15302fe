"""How a function that only loops call is compiled."""

from numba import njit

# Into the loop that calls it. LLVM leaves a call where a function takes many arrays, each of which
# is seven arguments: a draw of BayesMF then takes 1.7 times as long.
inlined = njit(forceinline=True)
