"""Where other systems come in: webhooks, reports of delivery, booking notifications."""
