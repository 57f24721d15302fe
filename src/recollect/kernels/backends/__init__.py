"""The sparse products, computed in different ways."""
