-- Text is ordered by bytes (COLLATE "C"), so that both databases sort alike.
CREATE TABLE users (
  id                   UUID   NOT NULL PRIMARY KEY,
  username             TEXT COLLATE "C"   NOT NULL CHECK (length(username) BETWEEN 1 AND 128),
  username_folded      TEXT COLLATE "C"   NOT NULL UNIQUE,
  role                 TEXT COLLATE "C"   NOT NULL CHECK (length(role) BETWEEN 1 AND 64),
  state                TEXT COLLATE "C"   NOT NULL CHECK (state IN ('active', 'disabled')),
  password_hash        TEXT COLLATE "C",
  password_scheme      TEXT COLLATE "C",
  created_at           TIMESTAMPTZ NOT NULL,
  password_changed_at  TIMESTAMPTZ
);
CREATE INDEX users_role ON users (role, state);
-- Lets the distinct schemes be found without reading every user.
CREATE INDEX users_password_scheme ON users (password_scheme);

-- Tokens that set up the first administrator or a new password. Only their digest is kept.
CREATE TABLE one_time_tokens (
  digest      BYTEA   NOT NULL PRIMARY KEY CHECK (octet_length(digest) = 32),
  purpose     TEXT COLLATE "C"   NOT NULL CHECK (purpose IN ('setup', 'reset')),
  user_id     UUID   REFERENCES users (id) ON DELETE CASCADE,
  created_at  TIMESTAMPTZ NOT NULL,
  expires_at  TIMESTAMPTZ NOT NULL,
  CHECK ((purpose = 'setup') = (user_id IS NULL))
);
CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id);
