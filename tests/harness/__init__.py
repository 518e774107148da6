"""What tests need to talk to boards by name. See conftest.py for the fixtures."""
