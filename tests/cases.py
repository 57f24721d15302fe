"""Models in small, for the tests that all of them must pass: quick settings, and variants worth a run of their own."""

from recollect.registry import make, model_names

QUICK = {"autorec": {"hidden": 12, "reg": 2.0, "epochs": 80},
         "deeprec": {"hidden": (12, 16), "dropout": 0.2, "center": True, "optimizer": "adam", "learning_rate": 0.03,
                     "batch_size": 40, "epochs": 30},
         "sparsefc": {"hidden": (20, 20), "reg": 1.0, "reg_kernel": 0.01, "epochs": 150},
         "glocalk": {"hidden": 20, "reg": 1.0, "reg_kernel": 0.01, "pretrain_epochs": 80, "epochs": 80, "dot_scale": 0.02},
         "ctr": {"factors": 3, "reg_user": 0.3, "reg_item": 0.3, "reg_power": 0.0, "epochs": 15, "passes": 20},
         "cdl": {"factors": 3, "reg_user": 0.3, "reg_item": 0.3, "reg_power": 0.0, "epochs": 15, "hidden": (8,), "text_epochs": 2,
                 "batch_size": 20},
         "llorma": {"anchors": 6, "factors": 3, "pre_factors": 3, "pre_reg": 0.01, "reg_user": 0.3, "reg_item": 0.3,
                    "reg_power": 0.0, "init": 0.1, "decay": 1.0, "width_user": 2.8, "width_item": 2.8},
         "bayes_mf": {"factors": 3, "epochs": 60, "burn_in": 4, "kept": 20},
         "pmf": {"factors": 3, "reg_user": 0.3, "reg_item": 0.3, "reg_power": 0.0, "epochs": 15},
         "biased_mf": {"factors": 3, "reg_user": 0.3, "reg_item": 0.3, "reg_power": 0.0, "init": 0.1, "decay": 1.0, "epochs": 60},
         "svdpp": {"factors": 3, "reg_user": 0.3, "reg_item": 0.3, "reg_power": 0.0, "init": 0.1, "decay": 1.0, "epochs": 60},
         "timesvdpp": {"factors": 3, "reg_user": 0.3, "reg_item": 0.3, "reg_power": 0.0, "init": 0.1, "decay": 1.0, "epochs": 60},
         "rrn": {"factors": 3, "hidden": 6, "embedding": 6, "dynamic": 3, "reg_user": 0.3, "reg_item": 0.3, "reg_power": 0.0,
                 "epochs": 6},
         "rbm": {"hidden": 40, "levels": 5, "reg": 3.0, "learning_rate": 0.02, "decay": 0.98, "batch_size": 20, "epochs": 40},
         "convmf": {"factors": 3, "reg_user": 0.3, "reg_item": 0.3, "reg_power": 0.0, "epochs": 15, "embedding": 8, "filters": 8,
                    "hidden": 8, "windows": (1, 2), "text_epochs": 3, "learning_rate": 0.01, "batch_size": 20}}

VARIANTS = [(name, {}) for name in model_names()] + [
    ("autorec", {"side": "user", "center": True}), ("autorec", {"center": True}), ("autorec", {"hidden": (12, 6, 12)}),
    ("autorec", {"output_activation": "sigmoid"}),
    ("autorec", {"optimizer": "adam", "batch_size": 40, "learning_rate": 0.02, "epochs": 40, "input_dropout": 0.1}),
    ("autorec", {"optimizer": "rprop", "refit": True}),
    ("sparsefc", {"side": "user", "center": True}), ("sparsefc", {"hidden": 12, "init_places": 0.1, "refit": True}),
    ("glocalk", {"refit": True}), ("deeprec", {"side": "item"}), ("deeprec", {"tied": True, "refeed": 1}),
    ("deeprec", {"refeed": 2, "refeed_target": "input", "refit": True}),
    ("deeprec", {"last_activation": True, "activation": "lrelu", "refeed": 1, "refeed_share": 0.5}),
    *(("deeprec", {"loss": loss, "center": False, "activation": "tanh", "refit": loss == "logistic", "epochs": 15})
      for loss in ("weighted", "logistic", "multinomial")),
    ("pmf", {"offsets": False, "center": True}), ("pmf", {"absent": 0.1, "offsets": False}),
    ("pmf", {"reg_power": 0.5, "refit": True}), ("pmf", {"solver": "sgd", "learning_rate": 0.02, "epochs": 60}),
    ("biased_mf", {"solver": "als", "reg_power": 0.5, "refit": True}),
    ("svdpp", {"refit": True}), ("timesvdpp", {"day_factors": True, "frequency": True, "refit": True}),
    ("rrn", {"step_days": 1, "refit": True}),
    ("bayes_mf", {"bags": False, "refit": True}),
    ("llorma", {"joint": True, "kernel": "triangular"}),
    ("llorma", {"offsets": False, "kernel": "uniform", "width_user": 1.0, "width_item": 1.0, "refit": True}),
    ("rbm", {"side": "user"}), ("rbm", {"conditional": True, "side": "user", "refit": True}),
    ("rbm", {"ordered": False, "optimizer": "sgd", "learning_rate": 0.1, "sample": False}),
    ("convmf", {"mask": False, "length": 40}), ("convmf", {"item_weights": True, "refit": True}),
    ("convmf", {"absent": 0.1, "offsets": False}), ("ctr", {"absent": 0.1, "offsets": False}),
    ("cdl", {"absent": 0.1, "offsets": False, "pretrain_epochs": 2}), ("ctr", {"refine": False, "refit": True}),
]


def made(variant):
    name, more = variant
    return make(name, **{**QUICK.get(name, {}), **more})


def label(variant) -> str:
    return "-".join([variant[0], *(f"{k}={x}" for k, x in variant[1].items())])
