"""Alerts: what Alertmanager sends, checked alert by alert, journaled once, and handed to the incidents."""
