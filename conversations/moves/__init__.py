"""The moves of a conversation, a file a chapter: what each makes of the record, and the effects it wants.

Which move answers which event, and where it may lead, stands in the table of `conversations.machine` and not here: the
machine imports the chapters, and none of them imports the machine.
"""
