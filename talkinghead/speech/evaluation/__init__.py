"""How well a speech model moves a face.

* checks: What a viewer notices in a face that speaks: lips that do not close, and a mood that changes nothing.
* evaluation: A speech model on held-out sequences, beside baselines that need no training.
* metrics: How far a predicted face is from the true one.
* sheets: Pictures of what a speech model does: true and predicted faces, and the mouth's opening over time.
* synchrony: How far a clip's sound lies from its picture, by what speech models make of the sound.
"""
