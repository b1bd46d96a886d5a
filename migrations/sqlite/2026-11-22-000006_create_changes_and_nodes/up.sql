-- Notes by which nodes keep their live view true, written in the transaction that makes the change. A note is numbered
-- afterwards, in a short transaction of its own: then the numbers are dense, and a lower one is never committed later.
CREATE TABLE changes (
  id       INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  -- 0: none yet.
  seq      BIGINT  NOT NULL DEFAULT 0 CHECK (seq >= 0),
  at       BIGINT  NOT NULL,
  kind     TEXT    NOT NULL CHECK (kind IN ('session', 'user', 'not_before', 'keys')),
  subject  TEXT    NOT NULL
);
CREATE UNIQUE INDEX changes_numbered ON changes (seq) WHERE seq > 0;
CREATE INDEX changes_unnumbered ON changes (id) WHERE seq = 0;

-- One row: the highest number given, and the name of this history. A copy put back in place has a lower number.
CREATE TABLE change_head (
  id        INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  seq       BIGINT  NOT NULL,
  database  TEXT    NOT NULL
);
INSERT INTO change_head VALUES (1, 0, lower(hex(randomblob(16))));

-- One row a running node.
CREATE TABLE nodes (
  id           TEXT   NOT NULL PRIMARY KEY CHECK (length(id) = 36),
  lease_no     BIGINT NOT NULL,
  applied_seq  BIGINT NOT NULL,
  address      TEXT   NOT NULL,
  started_at   BIGINT NOT NULL
);
