"""Items' texts: documents, tokens, corpora, word vectors."""
