-- The keys of this installation, all of them sealed as one value with a master key. While the master key is being rotated
-- there is one row for the old and one for the new. `master` names the master key; `number` counts them, from 1. The row with
-- the number 0 says that the keys are still to be made, which happens once, at the first start.
CREATE TABLE keyring (
  master   TEXT        COLLATE "C" NOT NULL PRIMARY KEY,
  number   BIGINT      NOT NULL CHECK (number >= 0),
  sealed   BYTEA       NOT NULL,
  made_at  TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX keyring_number ON keyring (number);
INSERT INTO keyring (master, number, sealed, made_at) VALUES ('', 0, '', to_timestamp(0));

-- Which servers work with which master key: each says so again and again while it runs.
CREATE TABLE master_key_uses (
  process  UUID        NOT NULL PRIMARY KEY,
  master   TEXT        COLLATE "C" NOT NULL,
  seen_at  TIMESTAMPTZ NOT NULL
);
