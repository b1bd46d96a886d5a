-- A client authenticates by its secret, or by keys of its own. After a rotation the secret before counts until a moment.
ALTER TABLE clients ADD COLUMN previous_secret_digest BLOB CHECK (length(previous_secret_digest) = 32);
ALTER TABLE clients ADD COLUMN previous_secret_until BIGINT CHECK ((previous_secret_until IS NULL) = (previous_secret_digest IS NULL));
-- Whose tokens it may ask about, as a JSON list. Missing: the audience of the configuration.
ALTER TABLE clients ADD COLUMN audiences TEXT;
-- Its public keys (RFC 7517), as JSON.
ALTER TABLE clients ADD COLUMN jwks TEXT CHECK (length(jwks) <= 16384);
-- Some minutes behind at most, and covered by no record.
ALTER TABLE clients ADD COLUMN last_used_at BIGINT;

-- Nodes know clients from memory.
CREATE TABLE changes_with_clients (
  id       INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  -- 0: none yet.
  seq      BIGINT  NOT NULL DEFAULT 0 CHECK (seq >= 0),
  at       BIGINT  NOT NULL,
  kind     TEXT    NOT NULL CHECK (kind IN ('session', 'user', 'not_before', 'keys', 'clients')),
  subject  TEXT    NOT NULL
);
INSERT INTO changes_with_clients SELECT id, seq, at, kind, subject FROM changes;
DROP TABLE changes;
ALTER TABLE changes_with_clients RENAME TO changes;
CREATE UNIQUE INDEX changes_numbered ON changes (seq) WHERE seq > 0;
CREATE INDEX changes_unnumbered ON changes (id) WHERE seq = 0;
