"""The .tflite file itself: read, edited, described and run."""
