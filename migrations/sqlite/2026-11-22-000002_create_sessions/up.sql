-- One row a login, kept after its end (P5). `user_id` has no foreign key: history outlives the user.
CREATE TABLE sessions (
  id                   TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 36),
  user_id              TEXT   NOT NULL CHECK (length(user_id) = 36),
  username             TEXT   NOT NULL,
  username_folded      TEXT   NOT NULL,
  role                 TEXT   NOT NULL,
  client_id            TEXT,
  device_name          TEXT,
  -- The readable address, and 16 bytes (IPv4 mapped) by which a network is a range of the index.
  ip                   TEXT   NOT NULL,
  ip_key               BLOB   NOT NULL CHECK (length(ip_key) = 16),
  user_agent           TEXT,
  browser              TEXT,
  os                   TEXT,
  device_kind          TEXT,
  methods              TEXT   NOT NULL,
  started_at           BIGINT NOT NULL,
  last_seen_at         BIGINT NOT NULL,
  last_ip              TEXT   NOT NULL,
  expires_at           BIGINT NOT NULL,
  idle_expires_at      BIGINT NOT NULL,
  token_id             TEXT   NOT NULL,
  token_issued_at      BIGINT NOT NULL,
  token_expires_at     BIGINT NOT NULL,
  refresh_generation   INTEGER NOT NULL CHECK (refresh_generation >= 0),
  -- Refresh tokens are derived from the seed under a key that is not here; `generation` is the one that is live.
  refresh_seed         BLOB   NOT NULL CHECK (length(refresh_seed) = 32),
  refresh_spent_at     BIGINT,
  ended_at             BIGINT,
  end_reason           TEXT,
  ended_by_kind        TEXT,
  ended_by_id          TEXT,
  end_note             TEXT,
  CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
  CHECK ((ended_at IS NULL) = (ended_by_kind IS NULL)),
  CHECK ((refresh_generation = 0) = (refresh_spent_at IS NULL))
);
CREATE INDEX sessions_started ON sessions (started_at, id);
CREATE INDEX sessions_last_seen ON sessions (last_seen_at, id);
CREATE INDEX sessions_user ON sessions (user_id, started_at, id);
CREATE INDEX sessions_name ON sessions (username_folded, user_id);
CREATE INDEX sessions_address ON sessions (ip_key, started_at, id);
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
-- The idle end never lies after the end of the lifetime, so this one index finds all that is overdue.
CREATE INDEX sessions_overdue ON sessions (idle_expires_at) WHERE ended_at IS NULL;
CREATE INDEX sessions_active_of_user ON sessions (user_id) WHERE ended_at IS NULL;

-- Every access token that was issued, so that a `jti` found anywhere leads to its session.
CREATE TABLE access_tokens (
  id          TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 36),
  session_id  TEXT   NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  issued_at   BIGINT NOT NULL,
  expires_at  BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX access_tokens_session ON access_tokens (session_id);

-- Every token issued before `at` is refused: of a user, of a client, or ('everybody', '') of all.
CREATE TABLE not_befores (
  scope    TEXT   NOT NULL CHECK (scope IN ('user', 'client', 'everybody')),
  subject  TEXT   NOT NULL,
  at       BIGINT NOT NULL,
  set_at   BIGINT NOT NULL,
  set_by   TEXT   NOT NULL,
  note     TEXT,
  PRIMARY KEY (scope, subject)
) WITHOUT ROWID;
