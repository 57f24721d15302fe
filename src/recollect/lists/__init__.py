"""7 · What a list is to be, beside the best n: filters, limits, diversity, fresh items, reasons.

query.py        `genre:Drama year>=1990 -seen` as terms
fields.py       what is known of the items, and which items a term fits
wishes.py       all that can be wished of a list, as it was asked for
candidates.py   the items that may be listed
selection.py    which of a user's candidates make the list, and in which order
similarity.py   how similar items are: by the model's vectors, or by their fields
fresh.py        which items are new, or have few events
reasons.py      the user's items that spoke for an item most
"""
