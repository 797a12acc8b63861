"""Tests that may be looked at after every batch. **Pure**: stdlib and numpy; counts in, evidence out.

Each is an *e-process*: a number that starts at 1 and, while its null hypothesis holds, reaches 1/alpha at any time at all with a
probability of at most alpha (Ville 1939; Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic statistics and safe anytime-valid
inference", Statistical Science 2023). So one may look whenever one likes and stop when one has seen enough.
"""
