-- Signing keys. The private part is sealed with the master key, which is not in the database.
CREATE TABLE signing_keys (
  id          TEXT   NOT NULL PRIMARY KEY,
  algorithm   TEXT   NOT NULL CHECK (algorithm IN ('ES256', 'EdDSA', 'RS256', 'HS256')),
  sealed      BLOB   NOT NULL,
  created_at  BIGINT NOT NULL,
  -- Since when it no longer signs, and until when its tokens verify.
  retired_at    BIGINT,
  verify_until  BIGINT,
  revoked_at    BIGINT,
  CHECK ((retired_at IS NULL) = (verify_until IS NULL))
);
-- One key signs at a time.
CREATE UNIQUE INDEX signing_keys_current ON signing_keys ((1)) WHERE retired_at IS NULL AND revoked_at IS NULL;

CREATE TABLE clients (
  id                 TEXT   NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
  name               TEXT   NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
  scopes             TEXT   NOT NULL,
  secret_digest      BLOB   NOT NULL CHECK (length(secret_digest) = 32),
  created_at         BIGINT NOT NULL,
  secret_changed_at  BIGINT NOT NULL
);
