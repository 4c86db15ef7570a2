"""Redis: its driver, the bus between processes and the queues of jobs; nothing else imports redis or rq."""
