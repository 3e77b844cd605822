//! Python's regex dialect and fail2ban's date templates.
