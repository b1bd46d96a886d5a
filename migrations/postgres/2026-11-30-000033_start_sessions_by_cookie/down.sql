ALTER TABLE sessions DROP COLUMN credential;
