"""Drawn people for the tests; no shipped line imports this room.

* drawing: A drawn person as a picture, with the exact landmarks of what was drawn.
* drawn_person: Who a drawn person is and how the head is held: proportions and colours from a seed, 68 points in 3-D
  from a pose.
* synthetic: Drawn people as data: poses over time, clips with sound, tracks, shards. For tests and runs that need no
  footage.
"""
