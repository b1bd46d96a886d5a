ALTER TABLE attempts DROP COLUMN client_authentication;
ALTER TABLE sessions DROP COLUMN client_authentication;
