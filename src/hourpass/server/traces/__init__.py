"""OpenTelemetry traces, when the extra is installed and its variables ask for them.

wanted  whether they do; loads nothing of OpenTelemetry
spans   the spans of a request
"""
