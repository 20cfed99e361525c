"""Files to arrays and back: video, audio, pictures."""
