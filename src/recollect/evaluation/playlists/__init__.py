"""Completing playlists: questions with a part hidden, answers of a fixed length, and their score.

questions   which part of a list is shown
answering   a model's answers
scoring     the challenge's two NDCGs and its score

Source: Kakao Arena, "Melon Playlist Continuation", 2020: its rules and `evaluate.py`.
"""

from recollect.evaluation.playlists.answering import answer
from recollect.evaluation.playlists.questions import Asked, ask
from recollect.evaluation.playlists.scoring import PlaylistScores, score

__all__ = ["Asked", "PlaylistScores", "answer", "ask", "score"]
