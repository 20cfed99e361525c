"""From what was measured to tables.

* aggregate: From records to numbers: means over people, by turn, the far third, movement, driving by others.
* intervals: Paired differences between methods, with confidence intervals over people.
* records: What was measured of one video at one number of source frames, and its file.
* tables: The results of an evaluation as JSON and as Markdown.
"""
