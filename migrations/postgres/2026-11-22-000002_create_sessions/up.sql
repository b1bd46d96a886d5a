-- One row a login, kept after its end (P5). `user_id` has no foreign key: history outlives the user.
CREATE TABLE sessions (
  id                   UUID   NOT NULL PRIMARY KEY,
  user_id              UUID   NOT NULL,
  username             TEXT COLLATE "C"   NOT NULL,
  username_folded      TEXT COLLATE "C"   NOT NULL,
  role                 TEXT COLLATE "C"   NOT NULL,
  client_id            TEXT COLLATE "C",
  device_name          TEXT COLLATE "C",
  -- The readable address, and 16 bytes (IPv4 mapped) by which a network is a range of the index.
  ip                   TEXT COLLATE "C"   NOT NULL,
  ip_key               BYTEA   NOT NULL CHECK (octet_length(ip_key) = 16),
  user_agent           TEXT COLLATE "C",
  browser              TEXT COLLATE "C",
  os                   TEXT COLLATE "C",
  device_kind          TEXT COLLATE "C",
  methods              TEXT COLLATE "C"   NOT NULL,
  started_at           TIMESTAMPTZ NOT NULL,
  last_seen_at         TIMESTAMPTZ NOT NULL,
  last_ip              TEXT COLLATE "C"   NOT NULL,
  expires_at           TIMESTAMPTZ NOT NULL,
  idle_expires_at      TIMESTAMPTZ NOT NULL,
  token_id             UUID   NOT NULL,
  token_issued_at      TIMESTAMPTZ NOT NULL,
  token_expires_at     TIMESTAMPTZ NOT NULL,
  refresh_generation   INTEGER NOT NULL CHECK (refresh_generation >= 0),
  -- Refresh tokens are derived from the seed under a key that is not here; `generation` is the one that is live.
  refresh_seed         BYTEA   NOT NULL CHECK (octet_length(refresh_seed) = 32),
  refresh_spent_at     TIMESTAMPTZ,
  ended_at             TIMESTAMPTZ,
  end_reason           TEXT COLLATE "C",
  ended_by_kind        TEXT COLLATE "C",
  ended_by_id          TEXT COLLATE "C",
  end_note             TEXT COLLATE "C",
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
  id          UUID   NOT NULL PRIMARY KEY,
  session_id  UUID   NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  issued_at   TIMESTAMPTZ NOT NULL,
  expires_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX access_tokens_session ON access_tokens (session_id);

-- Every token issued before `at` is refused: of a user, of a client, or ('everybody', '') of all.
CREATE TABLE not_befores (
  scope    TEXT COLLATE "C"   NOT NULL CHECK (scope IN ('user', 'client', 'everybody')),
  subject  TEXT COLLATE "C"   NOT NULL,
  at       TIMESTAMPTZ NOT NULL,
  set_at   TIMESTAMPTZ NOT NULL,
  set_by   TEXT COLLATE "C"   NOT NULL,
  note     TEXT COLLATE "C",
  PRIMARY KEY (scope, subject)
);
