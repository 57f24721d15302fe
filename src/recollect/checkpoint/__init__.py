"""A fitted model as a folder: JSON, safetensors and Parquet, no pickle.

    model.json         name, settings, shape, scale, seed, versions, data fingerprint, checksums
    net.safetensors    what was learned
    given.safetensors  the ratings it predicts from, as row numbers
    vocab.json         the ids of users and items, in row order
    catalogue.parquet  titles and genres, if known
    text.json          the words of the items' texts and how they are tokenized, if there are texts
    text.safetensors   their documents, as numbers of words, and the vectors of the words
    given              of a model of stored ratings, in place of the ratings: links to their files

The folder needs neither the data nor the configuration it came from. Beside these files may lie
scores.json (what `recollect train` measured), and `snapshot` and `refit` (an interrupted fit).

    layout       names of files and formats; which files are ours
    destination  where a model may be saved: nothing of others is removed
    saving       `save`
    open_folder  the files of a folder, opened at once: a model that is replaced is read whole
    about        model.json, checked
    given        the ratings a model predicts from
    building     a network to be filled from a file
    weights      what was learned, checked before it is used
    loading      `load`
"""

from recollect.checkpoint.about import describe
from recollect.checkpoint.destination import check_destination
from recollect.checkpoint.layout import FORMAT, PARTS
from recollect.checkpoint.loading import load
from recollect.checkpoint.saving import save
from recollect.system.atomic_files import checksum

__all__ = ["FORMAT", "PARTS", "check_destination", "checksum", "describe", "load", "save"]
