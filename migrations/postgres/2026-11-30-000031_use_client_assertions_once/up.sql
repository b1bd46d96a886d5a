-- Assertions of clients that were used: each counts once, on all nodes. Kept until it counts no more.
CREATE TABLE client_assertions (
  digest      BYTEA NOT NULL PRIMARY KEY CHECK (octet_length(digest) = 32),
  expires_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX client_assertions_expires_at ON client_assertions (expires_at);
