"""What HTTP is for: routes, bearers, pages, contracts and devices; a route validates, authenticates and hands over."""
