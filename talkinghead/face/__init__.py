"""Faces in pictures: 68 landmarks, crops, tracks, identity.

* crop: Square crops around a face, and landmarks carried into them and back.
* draw: Landmarks drawn as coloured lines: the picture that the networks see.
* frames: Frames in time: some of many, values between them, two curves compared, and those in which no face was seen.
* identity: Identity: a face network in torch that works without a download, aligned face chips, and their similarity.
* landmarks: The iBUG 68-point landmark scheme: groups, mirror order and simple measures.
* retarget: One person's landmarks moved as another's: pose and expression are carried over, the face's proportions are
  not.
* shape3d: A 3-D face of 68 points: the pose of a head from its landmarks, and a person's own resting face.
* smooth: Taking the jitter out of tracked landmarks.
* track: Following faces through a video.
* detection/: Finding faces and their 68 landmarks.
"""
