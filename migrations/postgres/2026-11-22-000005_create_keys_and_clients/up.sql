-- Signing keys. The private part is sealed with the master key, which is not in the database.
CREATE TABLE signing_keys (
  id          TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
  algorithm   TEXT COLLATE "C"   NOT NULL CHECK (algorithm IN ('ES256', 'EdDSA', 'RS256', 'HS256')),
  sealed      BYTEA   NOT NULL,
  created_at  TIMESTAMPTZ NOT NULL,
  -- Since when it no longer signs, and until when its tokens verify.
  retired_at    TIMESTAMPTZ,
  verify_until  TIMESTAMPTZ,
  revoked_at    TIMESTAMPTZ,
  CHECK ((retired_at IS NULL) = (verify_until IS NULL))
);
-- One key signs at a time.
CREATE UNIQUE INDEX signing_keys_current ON signing_keys ((1)) WHERE retired_at IS NULL AND revoked_at IS NULL;

CREATE TABLE clients (
  id                 TEXT COLLATE "C"   NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
  name               TEXT COLLATE "C"   NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
  scopes             TEXT COLLATE "C"   NOT NULL,
  secret_digest      BYTEA   NOT NULL CHECK (octet_length(secret_digest) = 32),
  created_at         TIMESTAMPTZ NOT NULL,
  secret_changed_at  TIMESTAMPTZ NOT NULL
);
