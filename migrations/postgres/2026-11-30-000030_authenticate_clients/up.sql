-- A client authenticates by its secret, or by keys of its own. After a rotation the secret before counts until a moment.
ALTER TABLE clients ADD COLUMN previous_secret_digest BYTEA CHECK (octet_length(previous_secret_digest) = 32);
ALTER TABLE clients ADD COLUMN previous_secret_until TIMESTAMPTZ CHECK ((previous_secret_until IS NULL) = (previous_secret_digest IS NULL));
-- Whose tokens it may ask about, as a JSON list. Missing: the audience of the configuration.
ALTER TABLE clients ADD COLUMN audiences TEXT COLLATE "C";
-- Its public keys (RFC 7517), as JSON.
ALTER TABLE clients ADD COLUMN jwks TEXT COLLATE "C" CHECK (length(jwks) <= 16384);
-- Some minutes behind at most, and covered by no record.
ALTER TABLE clients ADD COLUMN last_used_at TIMESTAMPTZ;

-- Nodes know clients from memory.
ALTER TABLE changes DROP CONSTRAINT changes_kind_check;
ALTER TABLE changes ADD CONSTRAINT changes_kind_check CHECK (kind IN ('session', 'user', 'not_before', 'keys', 'clients'));
