-- Access tokens of an earlier generation of the session are void: they were replaced when its user chose another password.
ALTER TABLE sessions ADD COLUMN valid_from_generation INTEGER NOT NULL DEFAULT 0 CHECK (valid_from_generation >= 0);
