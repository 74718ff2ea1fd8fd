"""What the tests stand on: real databases, real servers, no mocks of what can be real."""
