VARIANTS = [{"tied": True, "loss": "logistic"}]
