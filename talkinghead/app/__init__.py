"""The web page: photos in, a clip out, in a browser on this machine.

* jobs: Work that takes a while: one after the other, with progress, cancelled when asked.
* library: The folder that avatars and clips are kept in, and the names that they may have.
* page: What is shown, and what a click does (gradio).
* work: What the page has done: photos looked at, avatars made, clips rendered.
"""
