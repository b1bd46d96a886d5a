DELETE FROM changes WHERE kind = 'clients';
CREATE TABLE changes_without_clients (
  id       INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  -- 0: none yet.
  seq      BIGINT  NOT NULL DEFAULT 0 CHECK (seq >= 0),
  at       BIGINT  NOT NULL,
  kind     TEXT    NOT NULL CHECK (kind IN ('session', 'user', 'not_before', 'keys')),
  subject  TEXT    NOT NULL
);
INSERT INTO changes_without_clients SELECT id, seq, at, kind, subject FROM changes;
DROP TABLE changes;
ALTER TABLE changes_without_clients RENAME TO changes;
CREATE UNIQUE INDEX changes_numbered ON changes (seq) WHERE seq > 0;
CREATE INDEX changes_unnumbered ON changes (id) WHERE seq = 0;
ALTER TABLE clients DROP COLUMN last_used_at;
ALTER TABLE clients DROP COLUMN jwks;
ALTER TABLE clients DROP COLUMN audiences;
ALTER TABLE clients DROP COLUMN previous_secret_until;
ALTER TABLE clients DROP COLUMN previous_secret_digest;
