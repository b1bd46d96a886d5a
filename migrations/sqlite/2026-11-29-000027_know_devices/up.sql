-- What a user's program shows when it logs in again: by it, and by nothing else, a device is known. Kept as a digest.
CREATE TABLE devices (
  token_digest  BLOB NOT NULL PRIMARY KEY CHECK (length(token_digest) = 32),
  user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at    BIGINT NOT NULL,
  last_used_at  BIGINT NOT NULL
);
CREATE INDEX devices_user ON devices (user_id, last_used_at);
CREATE INDEX devices_last_used ON devices (last_used_at);
