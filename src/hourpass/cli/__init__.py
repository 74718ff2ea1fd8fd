"""The command line. The integrator's commands need `hourpass` alone; the rest load the server."""
