-- By what a session is held. Missing: by tokens; the token of a session that is held by a cookie was never issued.
ALTER TABLE sessions ADD COLUMN credential TEXT COLLATE "C" CHECK (credential IN ('cookie'));
