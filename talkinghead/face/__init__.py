"""Faces in pictures: 68 landmarks, crops, tracks, identity.

* alignment: One set of points laid over another: the turn, size and shift that bring them nearest (least squares).
* crop: Square crops around a face, and landmarks carried into them and back.
* draw: Landmarks drawn as coloured lines: the picture that the networks see.
* frames: Frames in time: some of many, values between them, two curves compared, and those in which no face was seen.
* identity: Identity: a face network in torch that works without a download, aligned face chips, and their similarity.
* landmarks: The iBUG 68-point landmark scheme: groups, mirror order and simple measures.
* smooth: Taking the jitter out of tracked landmarks.
* track: Following faces through a video.
* which_face: Which of several faces is meant: the largest, the one on the left, one by its number, or one like a
  picture's.
* detection/: Finding faces and their 68 landmarks.
"""
