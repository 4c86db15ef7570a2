"""The public contract: models of everything that is sent, and the documents that are generated from them and the doors.

Nothing is sent through these models. They say what the views make, and the tests hold every answer against them.
"""
