ALTER TABLE retention DROP COLUMN ran_at;
ALTER TABLE retention DROP COLUMN believed_at;
