"""What stands side by side and could be one: layers of one value, branches that go on in step."""
