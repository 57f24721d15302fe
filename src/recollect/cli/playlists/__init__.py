"""The verbs about playlists: questions, answer, score."""
