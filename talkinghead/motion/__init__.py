"""What drives a head, whatever it came from.

* from_rig: Expression weights alone -> a Motion: the rig's head, seen from the front and held still or as is given.
* motion: Motion: what drives a head, whatever it came from.
* rig_tracking: A tracked Motion -> the same Motion with the rig's pose and expressions in it, and how well they fit.
* formats/: Motions to and from other programs' files.
"""
