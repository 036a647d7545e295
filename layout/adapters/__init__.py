"""Other projects' layouts in and out of our scene model, one file a format."""
