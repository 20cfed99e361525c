"""What drives a head, whatever it came from.

* from_rig: Expression weights alone -> a Motion: the rig's head, seen from the front and held still or as is given.
* motion: Motion: what drives a head, whatever it came from.
* retarget: One person's landmarks moved as another's: pose and expression are carried over, the face's proportions
  are not.
* rig_tracking: A tracked Motion -> the same Motion with the rig's pose and expressions in it, and how well they fit.
* strength: How strongly each part of a face takes part in a movement.
* turn_limit: How far a head turns away from the photos that it is drawn from, limited.
* formats/: Motions to and from other programs' files.
"""
