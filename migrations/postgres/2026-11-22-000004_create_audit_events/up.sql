-- The append-only record. `details` is a JSON object.
CREATE TABLE audit_events (
  seq           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at            TIMESTAMPTZ  NOT NULL,
  kind          TEXT COLLATE "C"    NOT NULL,
  actor_kind    TEXT COLLATE "C"    NOT NULL,
  actor_id      TEXT COLLATE "C"    NOT NULL,
  subject_kind  TEXT COLLATE "C"    NOT NULL,
  subject_id    TEXT COLLATE "C",
  session_id    UUID,
  ip            TEXT COLLATE "C",
  request_id    TEXT COLLATE "C",
  details       JSONB   NOT NULL CHECK (jsonb_typeof(details) = 'object')
);
CREATE INDEX audit_events_at ON audit_events (at, seq);
CREATE INDEX audit_events_kind ON audit_events (kind, seq);
CREATE INDEX audit_events_actor ON audit_events (actor_id, seq);
CREATE INDEX audit_events_subject ON audit_events (subject_id, seq);
CREATE INDEX audit_events_session ON audit_events (session_id, seq);
