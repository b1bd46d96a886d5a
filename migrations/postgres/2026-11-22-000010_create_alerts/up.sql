-- Something a reviewer should look at. Of one kind and subject at most one is current: `open_key` names both, and is
-- cleared when the alert is acknowledged or its window has passed.
CREATE TABLE alerts (
  id               UUID    NOT NULL PRIMARY KEY,
  kind             TEXT COLLATE "C" NOT NULL,
  subject_kind     TEXT COLLATE "C" NOT NULL,
  subject_id       TEXT COLLATE "C",
  user_id          UUID,
  session_id       UUID,
  ip               TEXT COLLATE "C",
  raised_at        TIMESTAMPTZ NOT NULL,
  last_at          TIMESTAMPTZ NOT NULL,
  occurrences      INTEGER NOT NULL CHECK (occurrences > 0),
  details          JSONB   NOT NULL,
  open_key         TEXT COLLATE "C" UNIQUE,
  -- When the user said that the login was not theirs.
  disowned_at      TIMESTAMPTZ,
  acknowledged_at  TIMESTAMPTZ,
  acknowledged_by  TEXT COLLATE "C",
  note             TEXT COLLATE "C",
  CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL))
);
CREATE INDEX alerts_raised ON alerts (raised_at, id);
CREATE INDEX alerts_open ON alerts (raised_at, id) WHERE acknowledged_at IS NULL;
CREATE INDEX alerts_kind ON alerts (kind, raised_at, id);
CREATE INDEX alerts_session ON alerts (session_id);

-- What is still to be told to others: written with the alert, sent afterwards by whichever node claims it. No address of a
-- user and no secret is kept here.
CREATE TABLE deliveries (
  id            UUID    NOT NULL PRIMARY KEY,
  alert_id      UUID    NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
  occasion      TEXT COLLATE "C" NOT NULL CHECK (occasion IN ('raised', 'disowned')),
  channel       TEXT COLLATE "C" NOT NULL CHECK (channel IN ('webhook', 'reviewer_mail', 'user_mail')),
  -- The reviewer's address.
  recipient     TEXT COLLATE "C",
  created_at    TIMESTAMPTZ NOT NULL,
  tries         INTEGER NOT NULL CHECK (tries >= 0),
  next_at       TIMESTAMPTZ NOT NULL,
  delivered_at  TIMESTAMPTZ,
  given_up_at   TIMESTAMPTZ,
  last_fault    TEXT COLLATE "C",
  -- The session that the user is told of.
  session_id    UUID,
  CHECK ((session_id IS NULL) = (channel <> 'user_mail')),
  CHECK ((recipient IS NULL) = (channel <> 'reviewer_mail'))
);
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;
CREATE INDEX deliveries_created ON deliveries (created_at);
CREATE INDEX deliveries_alert ON deliveries (alert_id);

-- Where a user is told of a new device.
ALTER TABLE users ADD COLUMN email TEXT COLLATE "C";

-- A further scope, the whole server; and what an administrator may be shown: the user of that name or else the masked name,
-- the network in clear.
ALTER TABLE throttles DROP CONSTRAINT throttles_scope_check;
ALTER TABLE throttles ADD CONSTRAINT throttles_scope_check
  CHECK (scope IN ('account', 'known_device', 'address', 'network', 'overall'));
ALTER TABLE throttles ADD COLUMN user_id UUID, ADD COLUMN masked_name TEXT COLLATE "C", ADD COLUMN network TEXT COLLATE "C";

-- A further purpose: a user says that a login was not theirs.
ALTER TABLE one_time_tokens DROP CONSTRAINT one_time_tokens_purpose_check;
ALTER TABLE one_time_tokens ADD CONSTRAINT one_time_tokens_purpose_check CHECK (purpose IN ('setup', 'reset', 'not_me'));
ALTER TABLE one_time_tokens ADD COLUMN session_id UUID;
ALTER TABLE one_time_tokens ADD CONSTRAINT one_time_tokens_session_check
  CHECK ((purpose = 'not_me') = (session_id IS NOT NULL));
