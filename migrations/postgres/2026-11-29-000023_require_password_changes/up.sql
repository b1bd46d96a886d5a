-- Since when a user has a password that somebody else chose: until it is changed it is good for nothing but that.
ALTER TABLE users ADD COLUMN must_change_password_since TIMESTAMPTZ;
