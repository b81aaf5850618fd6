"""fastmag makes subtle changes in video visible."""

__version__ = "0.1.0"
