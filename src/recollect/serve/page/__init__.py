"""The page at `/`: rendered here, with one small script and no build step.

routes.py       the addresses of the page
people.py       a person, or someone without a name: their ratings and their list
catalogue.py    items: found, shown, added by a text
state.py        what the service learned when, its versions and their curves
curve.py        a curve as an SVG
templates/  static/
"""
