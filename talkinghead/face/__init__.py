"""Where a face is, its 68 landmarks, its crop, its picture, its identity."""
