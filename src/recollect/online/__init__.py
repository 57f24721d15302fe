"""Learning from further ratings without a fit: what can be learned at once is.

    update(ratings)
      → merge          the ratings joined to those of the fit, rows and all      `merge`
      → learn_change   the network of the model after the change                 each model
      → one swap       the model has the new ratings and the new network         `updating`

A model states what it learns at once and what waits for its next fit (`Updatable`). What models
have in common stands here: networks that grow, rows of factors by ridge regression, columns of an
output layer by recursive least squares.
"""
