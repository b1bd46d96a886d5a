ALTER TABLE sessions DROP COLUMN valid_from_generation;
