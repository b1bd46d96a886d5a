-- Notes by which nodes keep their live view true, written in the transaction that makes the change. A note is numbered
-- afterwards, in a short transaction of its own: then the numbers are dense, and a lower one is never committed later.
CREATE TABLE changes (
  id       BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- 0: none yet.
  seq      BIGINT  NOT NULL DEFAULT 0 CHECK (seq >= 0),
  at       TIMESTAMPTZ NOT NULL,
  kind     TEXT COLLATE "C"    NOT NULL CHECK (kind IN ('session', 'user', 'not_before', 'keys')),
  subject  TEXT COLLATE "C"    NOT NULL
);
CREATE UNIQUE INDEX changes_numbered ON changes (seq) WHERE seq > 0;
CREATE INDEX changes_unnumbered ON changes (id) WHERE seq = 0;

-- One row: the highest number given, and the name of this history. A copy put back in place has a lower number.
CREATE TABLE change_head (
  id        INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  seq       BIGINT  NOT NULL,
  database  TEXT COLLATE "C"    NOT NULL
);
INSERT INTO change_head VALUES (1, 0, replace(gen_random_uuid()::text, '-', ''));

-- One row a running node.
CREATE TABLE nodes (
  id           UUID   NOT NULL PRIMARY KEY,
  lease_no     BIGINT NOT NULL,
  applied_seq  BIGINT NOT NULL,
  address      TEXT COLLATE "C"   NOT NULL,
  started_at   TIMESTAMPTZ NOT NULL
);
