DELETE FROM changes WHERE kind = 'clients';
ALTER TABLE changes DROP CONSTRAINT changes_kind_check;
ALTER TABLE changes ADD CONSTRAINT changes_kind_check CHECK (kind IN ('session', 'user', 'not_before', 'keys'));
ALTER TABLE clients DROP COLUMN last_used_at;
ALTER TABLE clients DROP COLUMN jwks;
ALTER TABLE clients DROP COLUMN audiences;
ALTER TABLE clients DROP COLUMN previous_secret_until;
ALTER TABLE clients DROP COLUMN previous_secret_digest;
