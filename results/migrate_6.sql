-- migrate_6.sql: from version 5 to 6: tasks that a run could not ask. See schema.sql.

CREATE TABLE run_failures (
    run   INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    model TEXT NOT NULL,                        -- the label
    task  TEXT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (run, model, task)
) WITHOUT ROWID;

-- One row for each task that a run could not ask a model, the last run first.
CREATE VIEW v_failures AS
SELECT f.run AS run, r.started AS started, f.model AS model, f.task AS task, f.error AS error
FROM run_failures f
JOIN runs r ON r.id = f.run
ORDER BY f.run DESC;

PRAGMA user_version = 6;
