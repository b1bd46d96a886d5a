-- What the user calls the session, given while it lived. Missing: nothing.
ALTER TABLE sessions ADD COLUMN name TEXT COLLATE "C";
