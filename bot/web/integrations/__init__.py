"""Where other systems come in: webhooks, reports of delivery, the desk of notifications."""
