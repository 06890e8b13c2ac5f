-- migrate_3.sql: from version 2 to 3: what the aggregate of a corpus metric is made of. See
-- schema.sql.

ALTER TABLE scores ADD COLUMN parts TEXT;

PRAGMA user_version = 3;
