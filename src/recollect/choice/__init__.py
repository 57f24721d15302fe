"""Which model: several blended into one, or one chosen within a time budget.

blend       fitted models, blended
candidates  the models that `auto` tries, and how long it may take
timed_fit   a fit that is made shorter, or left out, if it would take too long
auto        `auto`, and `choose`, which also says what was tried
"""
