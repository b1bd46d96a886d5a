-- Whether a network is known of a user is asked at every login: of users with many sessions too.
CREATE INDEX sessions_user_address ON sessions (user_id, ip_key, started_at);
