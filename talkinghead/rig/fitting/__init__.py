"""A rig fitted to tracked landmarks or to vertices.

* evidence: What frames themselves say about their landmarks' noise and about which expressions occur in them.
* fit: Fitting a rig to tracked landmarks: who it is, once; then pose and expression of each frame.
* inverse: What is wanted of a rig's vertices -> the expression weights that make it: a predicted mesh, closed eyes.
* person: Who it is: a person's identity on a rig, from landmarks of some frames in any pose and with any expression.
* resting_face: A person's own resting face of 68 points, from landmarks of a few frames in any pose and with any
  expression.
* solver: Poses and expression weights of many frames at once: Gauss-Newton steps, each a small bounded quadratic
  problem.
"""
