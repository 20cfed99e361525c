"""A 3-D head with expressions and identities.

* arkit: Names of facial expressions: ARKit's 52 blendshapes, the rig's 46, and the way from each to the other.
* head_pose: How a head is held, from its landmarks: the pose in which a 3-D face lies nearest to them.
* rig: A 3-D head that moves: neutral vertices, expressions, identity, and where the 68 landmarks lie on it.
* shade: Meshes as shaded pictures, without a display or a graphics card.
* files/: Rigs from files of several formats.
* fitting/: A rig fitted to tracked landmarks or to vertices.
"""
