"""What is answered: from a model, and from what the store knows at this moment.

catalogue.py    the items of the store in memory, as of now
served.py       a loaded model beside the catalogue
scoring.py      what ranks every item for a person
wanted.py       what a list is to be, as it was asked for
listing.py      a list: filters, pages, new items, reasons
predictions.py  ratings of pairs, with intervals
similar.py      similar items and users
"""
