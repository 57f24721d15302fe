"""How a service learns: at once, soon, and in the background.

active.py       the versions that answer in this process, and how one takes another's place
folders.py      where versions lie, and which are kept
updates.py      what a model learns of newer ratings and items without a fit
refit.py        a fit from the store, in a process of its own
gate.py         whether a new version may take over
policy.py       when it is time, and who does it
"""
