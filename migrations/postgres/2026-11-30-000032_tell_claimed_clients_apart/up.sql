-- How the client of a login authenticated. Missing: it did not, and `client_id` is what somebody named.
ALTER TABLE sessions ADD COLUMN client_authentication TEXT COLLATE "C" CHECK (client_authentication IN ('client_secret_basic'));
ALTER TABLE attempts ADD COLUMN client_authentication TEXT COLLATE "C" CHECK (client_authentication IN ('client_secret_basic'));
