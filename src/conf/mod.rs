//! fail2ban's configuration language.
