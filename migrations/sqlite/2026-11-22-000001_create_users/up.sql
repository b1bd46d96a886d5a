-- Times are microseconds since 1970 (UTC); ids are UUIDs as lower-case text, so that a reviewer can read them.
CREATE TABLE users (
  id                   TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 36),
  username             TEXT   NOT NULL CHECK (length(username) BETWEEN 1 AND 128),
  username_folded      TEXT   NOT NULL UNIQUE,
  role                 TEXT   NOT NULL CHECK (length(role) BETWEEN 1 AND 64),
  state                TEXT   NOT NULL CHECK (state IN ('active', 'disabled')),
  password_hash        TEXT,
  password_scheme      TEXT,
  created_at           BIGINT NOT NULL,
  password_changed_at  BIGINT
);
CREATE INDEX users_role ON users (role, state);
-- Lets the distinct schemes be found without reading every user.
CREATE INDEX users_password_scheme ON users (password_scheme);

-- Tokens that set up the first administrator or a new password. Only their digest is kept.
CREATE TABLE one_time_tokens (
  digest      BLOB   NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
  purpose     TEXT   NOT NULL CHECK (purpose IN ('setup', 'reset')),
  user_id     TEXT   REFERENCES users (id) ON DELETE CASCADE,
  created_at  BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL,
  CHECK ((purpose = 'setup') = (user_id IS NULL))
);
CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id);
