"""What a speech model says becomes a whole head that moves: pose, blinks, landmarks, clips.

* head_motion: How a head that talks is held and when it blinks: generated, or taken from a video of somebody.
* live: Speech as it comes -> a moving face, a frame as soon as its sound is there (Pham's model).
* mesh_clip: A motion of vertices as a shaded clip with its sound.
* speaking_head: Whose head speaks: the model's own, another shape of it, or another rig.
* to_motion: What a voice says of a face -> a Motion: blendshapes or vertices, a head that moves and blinks ->
  landmarks.
"""
